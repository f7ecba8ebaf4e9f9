//! The target of a proxied call: a path below `WIX_API_URL`, exactly as the caller sent it.
//!
//! An ambiguous path is refused and not normalised: dot segments in any spelling, empty segments, backslashes, encoded
//! slashes, dots and percent signs, `@`, `:`, `;`, control characters.

use percent_encoding::percent_decode_str;
use url::{Position, Url};

use crate::values::InstanceId;
use crate::web::{Error, Request};

/// The longest path and query, in bytes.
const LIMIT: usize = 8 * 1024;
const REFUSED: Error = Error::BadRequest(
    "path behind /wix/",
    "its segments must be letters, digits, -._~!$&'()*+,= and unambiguous percent encoding, as in Wix's paths",
);

/// An address of Wix's API.
pub struct Target(Url);

impl Target {
    /// The target of a request to `/v1/instances/{id}/wix/{path…}`.
    pub fn of<I>(api_url: &str, request: &Request<I>) -> Result<Self, Error> {
        let path = request.path.splitn(6, '/').nth(5).unwrap_or_default();
        let query = request.url.query().map(|query| format!("?{query}")).unwrap_or_default();
        if path.len() + query.len() > LIMIT {
            return Err(Error::BadRequest("path behind /wix/", "with its query it must have at most 8192 bytes"));
        }
        if !is_plain(path) {
            return Err(REFUSED);
        }
        let url = Url::parse(&format!("{api_url}/{path}{query}")).map_err(|_| REFUSED)?;
        // The parsed URL must still have the same origin and path.
        let origin = url.origin().ascii_serialization();
        let is_unchanged = origin == api_url && url.path().strip_prefix('/') == Some(path);
        if is_unchanged { Ok(Self(url)) } else { Err(REFUSED) }
    }

    /// The whole URL.
    #[must_use]
    pub fn url(&self) -> &str {
        self.0.as_str()
    }

    /// Whether it is this path, in any spelling.
    #[must_use]
    pub fn is_path(&self, wanted: &str) -> bool {
        let path = percent_decode_str(self.0.path()).decode_utf8_lossy();
        path.trim_matches('/').eq_ignore_ascii_case(wanted)
    }

    /// Translates a `Location` of Wix's into an address of this Worker, so that a client that follows it sends its API key to
    /// no other host. `None` for a location outside Wix's API.
    #[must_use]
    pub fn location(&self, id: &InstanceId, value: &str) -> Option<String> {
        let there = self.0.join(value).ok()?;
        let plain = there.username().is_empty() && there.password().is_none();
        let path = there.path().strip_prefix('/').filter(|path| is_plain(path))?;
        let query = &there[Position::AfterPath..Position::AfterQuery];
        (there.origin() == self.0.origin() && plain).then(|| format!("/v1/instances/{id}/wix/{path}{query}"))
    }
}

/// Whether a path is unambiguous. A trailing slash is allowed.
fn is_plain(path: &str) -> bool {
    let path = path.strip_suffix('/').unwrap_or(path);
    path.split('/').all(|segment| !matches!(segment, "" | "." | "..") && is_plain_segment(segment))
}

fn is_plain_segment(segment: &str) -> bool {
    let mut rest = segment.as_bytes();
    loop {
        rest = match rest {
            [] => break,
            [b'%', high, low, rest @ ..] if is_plain_encoded(*high, *low) => rest,
            [byte, rest @ ..] if is_plain_byte(*byte) => rest,
            _ => return false,
        }
    }
    // The decoded text must be UTF-8, which overlong forms of dots and slashes are not.
    percent_decode_str(segment).decode_utf8().is_ok_and(|text| text.chars().all(is_plain_char))
}

fn is_plain_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,=".contains(&byte)
}

/// Whether an encoded byte is none of `%`, `.`, `/` and `\`.
fn is_plain_encoded(high: u8, low: u8) -> bool {
    let digit = |byte| char::from(byte).to_digit(16);
    match (digit(high), digit(low)) {
        (Some(high), Some(low)) => !matches!(high * 16 + low, 0x25 | 0x2e | 0x2f | 0x5c),
        _ => false,
    }
}

/// Whether a character is neither a control character nor one that some parsers treat as a dot, slash, backslash or
/// percent sign.
fn is_plain_char(char: char) -> bool {
    const LOOKALIKES: [char; 6] = ['\u{2024}', '\u{2215}', '\u{ff05}', '\u{ff0e}', '\u{ff0f}', '\u{ff3c}'];
    !char.is_control() && !LOOKALIKES.contains(&char)
}
