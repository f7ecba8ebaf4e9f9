//! Where a proxied call goes: a path below `WIX_API_URL`, as the caller wrote it, or nowhere.
//!
//! What two readers could read in two ways is refused and not put right: dot segments in any spelling, empty segments,
//! backslashes, encoded slashes, dots and percent signs, `@`, `:`, `;`, control characters.

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
    path.split('/').all(|segment| !matches!(segment, "" | "." | "..") && is_plain_segment(segment.as_bytes()))
}

fn is_plain_segment(mut segment: &[u8]) -> bool {
    loop {
        segment = match segment {
            [] => return true,
            [b'%', high, low, rest @ ..] if is_plain_encoded(*high, *low) => rest,
            [byte, rest @ ..] if is_plain_byte(*byte) => rest,
            _ => return false,
        }
    }
}

fn is_plain_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,=".contains(&byte)
}

/// Not a control character, and none of `%`, `.`, `/` and `\`.
fn is_plain_encoded(high: u8, low: u8) -> bool {
    let digit = |byte| char::from(byte).to_digit(16);
    match (digit(high), digit(low)) {
        (Some(high), Some(low)) => !matches!(high * 16 + low, 0..=0x1f | 0x25 | 0x2e | 0x2f | 0x5c | 0x7f),
        _ => false,
    }
}
