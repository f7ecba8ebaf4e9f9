//! Where a proxied call goes: a path below `WIX_API_URL`, as the caller wrote it, or nowhere.
//!
//! What two readers could read in two ways is refused and not put right: dot segments in any spelling, empty segments,
//! backslashes, encoded slashes, dots and percent signs, `@`, `:`, `;`, control characters.

use percent_encoding::percent_decode_str;
use url::{Position, Url};

use crate::config::Config;
use crate::error::Error;
use crate::id::InstanceId;
use crate::request::Request;

/// The longest path and query, in bytes.
const LIMIT: usize = 8 * 1024;
const REFUSED: Error = Error::BadRequest(
    "path behind /wix/",
    "it is not segments of letters, digits, -._~!$&'()*+,= and plain percent encoding, as Wix's paths are",
);

/// An address at Wix's API.
pub struct Target(Url);

impl Target {
    /// What a request to `/v1/instances/{id}/wix/{path…}` asks for.
    pub fn of<I>(config: &Config, request: &Request<I>) -> Result<Self, Error> {
        let path = request.path.splitn(6, '/').nth(5).unwrap_or_default();
        let query = request.url.query().map(|query| format!("?{query}")).unwrap_or_default();
        if path.len() + query.len() > LIMIT {
            return Err(Error::BadRequest("path behind /wix/", "with its query it has more than 8192 bytes"));
        }
        if !is_plain(path) {
            return Err(REFUSED);
        }
        let url = Url::parse(&format!("{}/{path}{query}", config.wix_api_url)).map_err(|_| REFUSED)?;
        // The same once more, by what the URL has become.
        let origin = url.origin().ascii_serialization();
        let kept = origin == config.wix_api_url && url.path().strip_prefix('/') == Some(path);
        if kept { Ok(Self(url)) } else { Err(REFUSED) }
    }

    /// The whole address.
    #[must_use]
    pub fn url(&self) -> &str {
        self.0.as_str()
    }

    /// Whether it is this path, however it is written.
    #[must_use]
    pub fn is_path(&self, wanted: &str) -> bool {
        let path = percent_decode_str(self.0.path()).decode_utf8_lossy();
        path.trim_matches('/').eq_ignore_ascii_case(wanted)
    }

    /// A `Location` of Wix's as an address of ours, so that whoever follows it shows his key to nobody else. One that
    /// leads elsewhere is none.
    #[must_use]
    pub fn location(&self, id: &InstanceId, value: &str) -> Option<String> {
        let there = self.0.join(value).ok()?;
        let plain = there.username().is_empty() && there.password().is_none();
        let path = there.path().strip_prefix('/').filter(|path| is_plain(path))?;
        let query = &there[Position::AfterPath..Position::AfterQuery];
        (there.origin() == self.0.origin() && plain).then(|| format!("/v1/instances/{id}/wix/{path}{query}"))
    }
}

/// Whether a path means the same to everybody who reads it. A slash at its end is fine.
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
    // What is decoded must be UTF-8: overlong forms of dots and slashes are not.
    percent_decode_str(segment).decode_utf8().is_ok_and(|text| text.chars().all(is_plain_char))
}

fn is_plain_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,=".contains(&byte)
}

/// None of `%`, `.`, `/` and `\`.
fn is_plain_encoded(high: u8, low: u8) -> bool {
    let digit = |byte| char::from(byte).to_digit(16);
    match (digit(high), digit(low)) {
        (Some(high), Some(low)) => !matches!(high * 16 + low, 0x25 | 0x2e | 0x2f | 0x5c),
        _ => false,
    }
}

/// No control character, and none that some readers take for a dot, a slash, a backslash or a percent sign.
fn is_plain_char(char: char) -> bool {
    const LOOKALIKES: [char; 6] = ['\u{2024}', '\u{2215}', '\u{ff05}', '\u{ff0e}', '\u{ff0f}', '\u{ff3c}'];
    !char.is_control() && !LOOKALIKES.contains(&char)
}
