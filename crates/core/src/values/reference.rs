//! The app's name for one of its customers, or for a visit of one, which it gives to an install flow.

use serde::{Deserialize, Serialize};

/// See the module. It is not a secret: Wix and the browser see it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Ref(String);

impl Ref {
    /// The largest number of Unicode code points.
    pub const LENGTH: usize = 512;
    /// The largest number of bytes.
    pub const BYTES: usize = Self::LENGTH * 4;

    /// Takes a text of 1 to [`Self::LENGTH`] code points, none of which is a control character (category Cc).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_short = (1..=Self::BYTES).contains(&text.len()) && text.chars().count() <= Self::LENGTH;
        (is_short && !text.chars().any(char::is_control)).then(|| Self(text.to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
