//! Secrets: types without `Debug`, `Display` and `Serialize`, wiped from memory when dropped.
//!
//! A struct that holds a secret cannot derive `Debug` either, so no secret is printed by accident. `expose` is the only
//! access; its callers send the text to Wix or to the app's back end, or encrypt it.

use serde::{Deserialize, Deserializer};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

macro_rules! secret_text {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $name(Zeroizing<String>);

        impl $name {
            /// Wraps a text.
            #[must_use]
            pub fn new(text: impl Into<String>) -> Self {
                Self(Zeroizing::new(text.into()))
            }

            /// The secret text.
            #[must_use]
            pub fn expose(&self) -> &str {
                &self.0
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer).map(Self::new)
            }
        }
    };
}

secret_text! {
    /// The app secret: `client_secret` towards Wix.
    AppSecret
}
secret_text! {
    /// An access token: authorizes calls to Wix's API for one instance.
    AccessToken
}
secret_text! {
    /// A refresh token, of an app with custom authentication.
    RefreshToken
}
secret_text! {
    /// An authorization code, good for one exchange within ten minutes.
    AuthorizationCode
}
secret_text! {
    /// A signed `instance` value. Its bearer acts as the user that it names.
    SignedValue
}
secret_text! {
    /// The sealed value that hands an installation over to the app's back end. Its bearer may use it once.
    HandoffValue
}

impl RefreshToken {
    /// Compares in time that depends on the length only.
    #[must_use]
    pub fn same_as(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

/// A 32-byte key, wiped from memory when dropped.
#[derive(Clone)]
pub struct Key32(Zeroizing<[u8; 32]>);

impl Key32 {
    /// Wraps the bytes.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The key bytes.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

/// One of `EVENTS_SECRETS`: signs what is sent to the app's back end.
#[derive(Clone)]
pub struct SigningSecret(Zeroizing<Vec<u8>>);

impl SigningSecret {
    /// Wraps the bytes.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The key bytes.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}
