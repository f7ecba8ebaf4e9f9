//! Access tokens.

use crate::values::{AccessToken, RefreshToken, Timestamp};

/// The longest token that is accepted, in bytes.
const TOKEN_LIMIT: usize = 32 * 1024;
/// A token with this life or more, in seconds, is worth storing in KV.
const LONG_LIFE: u64 = 3_600;

/// Whether a text has the form of an access token, which is sent in a header.
#[must_use]
pub fn is_token(text: &str) -> bool {
    (1..=TOKEN_LIMIT).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// An access token of one instance, with its end.
#[derive(Clone)]
#[expect(clippy::struct_field_names, reason = "OAuth's name")]
pub struct Token {
    /// The token.
    pub access_token: AccessToken,
    /// When it expires.
    pub expires_at: Timestamp,
    /// Its life when it was issued, in seconds.
    pub life: u64,
    /// When the instance was last known to be installed.
    pub checked_at: Timestamp,
}

/// Wix's answer to a grant.
pub struct Grant {
    /// The access token.
    pub token: Token,
    /// The refresh token, if Wix sent one.
    pub refresh_token: Option<RefreshToken>,
}

impl Token {
    /// Whether more of its life is left than the margin: a minute for a token of minutes, else the larger of five minutes
    /// and a tenth of its life.
    #[must_use]
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        let margin = if self.is_long_lived() { (self.life / 10).max(300) } else { 60 };
        self.expires_at.since(now) > margin
    }

    /// When Wix issued it.
    #[must_use]
    pub fn issued_at(&self) -> Timestamp {
        Timestamp(self.expires_at.0.saturating_sub(self.life))
    }

    /// Whether it lives long enough to be stored in KV.
    #[must_use]
    pub fn is_long_lived(&self) -> bool {
        self.life >= LONG_LIFE
    }
}

#[cfg(test)]
mod tests;
