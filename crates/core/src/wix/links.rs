//! The pages of Wix to which browsers are redirected.

use url::Url;

use super::Settings;
use crate::values::{AccessToken, InstanceId};

/// The consent page (docs/wix.md, 3.3). Wix returns to `redirect_url` with `state`.
#[must_use]
pub fn consent(settings: &Settings, redirect_url: &str, state: &str, token: Option<&str>) -> String {
    let mut url = page(settings, "installer/install");
    url.query_pairs_mut()
        .append_pair("appId", settings.app_id.as_str())
        .append_pair("redirectUrl", redirect_url)
        .append_pair("state", state);
    if let Some(token) = token {
        url.query_pairs_mut().append_pair("token", token);
    }
    url.into()
}

/// The start of an external install (docs/wix.md, 3.2). Wix returns to `callback`. An app that is not listed in the App
/// Market needs a share id.
#[must_use]
pub fn installer(settings: &Settings, callback: &str, share: Option<&InstanceId>) -> String {
    let mut url = page(settings, "app-installer");
    url.query_pairs_mut().append_pair("appId", settings.app_id.as_str()).append_pair("postInstallationUrl", callback);
    if let Some(share) = share {
        url.query_pairs_mut().append_pair("shareUrlId", share.as_str());
    }
    url.into()
}

/// The page that closes the installation's window (docs/wix.md, 3.3).
#[must_use]
pub fn close_window(settings: &Settings, token: &AccessToken) -> String {
    let mut url = page(settings, "installer/close-window");
    url.query_pairs_mut().append_pair("access_token", token.expose());
    url.into()
}

fn page(settings: &Settings, path: &str) -> Url {
    let mut url = settings.site_url.clone();
    url.set_path(path);
    url
}
