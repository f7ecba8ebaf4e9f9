//! Values that must never be seen: no `Debug`, no `Display`, no `Serialize`, wiped when dropped.
//!
//! A structure that holds one cannot derive `Debug` either, so that none is printed by accident. `expose` is the one
//! way to the text; whoever calls it sends it to Wix, to the app's own back end, or into a cipher.

use serde::{Deserialize, Deserializer};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

macro_rules! secret_text {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $name(Zeroizing<String>);

        impl $name {
            /// Takes the text in.
            #[must_use]
            pub fn new(text: impl Into<String>) -> Self {
                Self(Zeroizing::new(text.into()))
            }

            /// The text itself.
            #[must_use]
            pub fn expose(&self) -> &str {
                &self.0
            }

            /// Whether both are the same text, in time that depends on the length alone.
            #[must_use]
            pub fn same_as(&self, other: &Self) -> bool {
                self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
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
    /// What calls Wix's APIs for one instance.
    AccessToken
}
secret_text! {
    /// What gets access tokens in the custom authentication model.
    RefreshToken
}
secret_text! {
    /// An authorization code, good for one exchange within ten minutes.
    AuthorizationCode
}
secret_text! {
    /// A signed `instance` value: whoever shows it is taken for its user.
    SignedValue
}

/// 32 bytes of key, wiped when dropped.
#[derive(Clone)]
pub struct Key32(Zeroizing<[u8; 32]>);

impl Key32 {
    /// Takes the bytes in.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes themselves.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}
