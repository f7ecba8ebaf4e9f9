//! A request with everything that its handler may use.

use url::Url;

use super::{ApiKey, Error, Platform, Request};
use crate::instances::Context;
use crate::values::InstanceId;

/// What the configuration says about requests.
pub struct Settings {
    /// `PUBLIC_URL`, without a slash at the end.
    pub public_url: Option<String>,
    /// `AFTER_INSTALL_URL`
    pub after_install_url: Option<Url>,
    /// `WIX_SHARE_URL_ID`
    pub share_url_id: Option<InstanceId>,
    /// `API_KEYS`
    pub api_keys: Vec<ApiKey>,
    /// `APP_NAME`
    pub app_name: Option<String>,
    /// `SUPPORT_URL`
    pub support_url: Option<String>,
}

/// See the module.
pub struct Call<'a, P: Platform> {
    /// What use cases may use.
    pub cx: Context<'a, P>,
    /// The configuration.
    pub settings: &'a Settings,
    /// The request.
    pub request: Request<P::Inbound>,
}

impl<P: Platform> Call<'_, P> {
    /// The instance id in the path `/v1/instances/{id}…`, which the log line then names.
    pub fn instance_id(&self) -> Result<InstanceId, Error> {
        let segments = self.request.segments();
        let segment = segments.get(2).copied().unwrap_or_default();
        let id = InstanceId::parse(segment).map_err(|_| Error::BadRequest("instance id", "it must be a GUID"))?;
        self.cx.trace().instance(&id);
        Ok(id)
    }

    /// Reads the body.
    pub async fn body(self, limit: usize) -> Result<Vec<u8>, Error> {
        self.cx.platform.body(self.request.inbound, limit).await.map_err(|error| Error::body(error, limit))
    }

    /// A request header.
    #[must_use]
    pub fn header(&self, name: &'static str) -> Option<String> {
        self.cx.platform.header(&self.request.inbound, name)
    }
}
