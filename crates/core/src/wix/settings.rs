//! The app as Wix knows it, and where Wix is.

use url::Url;

use crate::crypto::PublicKey;
use crate::values::{AppId, AppSecret};

/// What the configuration says about the app and about Wix.
pub struct Settings {
    /// `WIX_APP_ID`
    pub app_id: AppId,
    /// `WIX_PUBLIC_KEYS`, at least one.
    pub public_keys: Vec<PublicKey>,
    /// `WIX_APP_SECRET`
    pub app_secret: AppSecret,
    /// `WIX_APP_SECRET_PREVIOUS`
    pub app_secret_previous: Option<AppSecret>,
    /// `WIX_API_URL`, without a slash at the end.
    pub api_url: String,
    /// `WIX_SITE_URL`
    pub site_url: Url,
}

impl Settings {
    /// The app secret, and during a rotation the previous one.
    pub fn app_secrets(&self) -> impl Iterator<Item = &AppSecret> {
        std::iter::once(&self.app_secret).chain(&self.app_secret_previous)
    }
}
