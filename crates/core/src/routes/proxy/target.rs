//! The target of a proxied call: a path below `WIX_API_URL`, exactly as the caller sent it.
//!
//! An ambiguous path is refused and not normalised (`routes/path.rs`).

use percent_encoding::percent_decode_str;
use url::{Position, Url};

use crate::routes::path::{LIMIT, is_plain};
use crate::values::InstanceId;
use crate::web::{Error, Request};

const REFUSED: Error = Error::BadRequest(
    "path behind /wix/",
    "its segments must be letters, digits, -._~!$&'()*+,= and unambiguous percent encoding, as in Wix's paths",
);

/// An address of Wix's API.
pub struct Target(Url);

impl Target {
    /// The target of a request to `/v1/instances/{id}/wix/{path…}`.
    pub fn of<I>(api_url: &str, request: &Request<I>) -> Result<Self, Error> {
        let path = request.path().splitn(6, '/').nth(5).unwrap_or_default();
        let query = request.query().map(|query| format!("?{query}")).unwrap_or_default();
        if path.len() + query.len() > LIMIT {
            return Err(Error::BadRequest("path behind /wix/", "with its query it must have at most 8192 bytes"));
        }
        let below = format!("{api_url}/{path}");
        let url = Url::parse(&format!("{below}{query}")).ok().filter(|_| is_plain(path)).ok_or(REFUSED)?;
        // The parsed URL must still have the same origin and path.
        if url[..Position::AfterPath] == below { Ok(Self(url)) } else { Err(REFUSED) }
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
