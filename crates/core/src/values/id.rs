//! Ids: parsed where they enter, and valid from there on.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

/// The text is not a GUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it must be a GUID such as 11111111-2222-4333-8444-555555555555")]
pub struct NotAGuid;

/// A GUID in its canonical form: 36 characters, lower case, hyphens at 8, 13, 18 and 23, and not all zeros
/// (Wix answers 404 for the all-zero instance).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
struct Guid(String);

impl Guid {
    fn parse(text: &str) -> Result<Self, NotAGuid> {
        let shaped = text.len() == 36
            && text.bytes().enumerate().all(|(at, byte)| match at {
                8 | 13 | 18 | 23 => byte == b'-',
                _ => byte.is_ascii_hexdigit(),
            });
        let nil = text.bytes().all(|byte| matches!(byte, b'0' | b'-'));
        if shaped && !nil { Ok(Self(text.to_ascii_lowercase())) } else { Err(NotAGuid) }
    }
}

macro_rules! guid {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
        #[serde(transparent)]
        pub struct $name(Guid);

        impl $name {
            /// Parses a GUID in upper or lower case.
            pub fn parse(text: &str) -> Result<Self, NotAGuid> {
                Guid::parse(text).map(Self)
            }

            /// The GUID in lower case.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        #[cfg(test)]
        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "format": "uuid" })
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                Self::parse(&text).map_err(serde::de::Error::custom)
            }
        }
    };
}

guid! {
    /// The id of a Wix app, as the app dashboard shows it.
    AppId
}
guid! {
    /// The id of an installation: one app on one site. It is a lookup key and proves nothing about the caller.
    InstanceId
}
guid! {
    /// The id of a Wix site.
    SiteId
}

/// Identifies a request in the log, and on the error page. 32 random hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(String);

impl RequestId {
    /// Creates an id from 16 random bytes.
    #[must_use]
    pub fn new(random: [u8; 16]) -> Self {
        Self(base16ct::lower::encode_string(&random))
    }

    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests;
