//! The settings of a simulator.

use anyhow::Context as _;

use crate::shared::loopback_url;

/// The settings at the start. `Settings::default()` means a free port, a random app and a new key.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The port on 127.0.0.1; 0 for a free one.
    pub port: u16,
    /// The app's id, a GUID; random if `None`.
    pub app_id: Option<String>,
    /// The app's secret; random if `None`.
    pub app_secret: Option<String>,
    /// The app's private key in PEM (PKCS#8 or PKCS#1); a new RSA-2048 key if `None`.
    pub private_key_pem: Option<String>,
    /// The App URL (custom authentication).
    pub app_url: Option<String>,
    /// The registered redirect URLs (custom authentication).
    pub redirect_urls: Vec<String>,
    /// The URL that webhooks are delivered to.
    pub webhook_url: Option<String>,
    /// The base URI of the app's service plugins.
    pub plugins_url: Option<String>,
    /// The divisor of the pauses between webhook attempts.
    pub time_scale: f64,
    /// The switch `echo_other_paths`.
    pub echo_other_paths: bool,
    /// The URL of the app's list of instances, which the page shows.
    pub app_records_url: Option<String>,
    /// The API key for that list.
    pub app_records_key: Option<String>,
    /// The secrets with which the app verifies events: `whsec_…`, separated by commas. Without them it has no back end.
    pub events_secrets: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            port: 0,
            app_id: None,
            app_secret: None,
            private_key_pem: None,
            app_url: None,
            redirect_urls: Vec::new(),
            webhook_url: None,
            plugins_url: None,
            time_scale: 1.0,
            echo_other_paths: false,
            app_records_url: None,
            app_records_key: None,
            events_secrets: None,
        }
    }
}

impl Settings {
    /// Checks the settings; the error says what a value must be.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        let urls = self.app_url.iter().chain(&self.redirect_urls).chain(&self.webhook_url).chain(&self.plugins_url);
        for url in urls.chain(&self.app_records_url) {
            loopback_url(url).map_err(anyhow::Error::msg)?;
        }
        if let Some(id) = &self.app_id {
            anyhow::ensure!(crate::ids::is_guid(id), "the app id must be a GUID; it is {id:?}");
        }
        anyhow::ensure!(self.app_secret.as_deref() != Some(""), "the app secret must not be empty");
        anyhow::ensure!(self.time_scale.is_finite() && self.time_scale > 0.0, "the time scale must be greater than 0");
        Ok(())
    }

    /// The source of the app's records, if one is set.
    pub(crate) fn records(&self) -> anyhow::Result<Option<crate::records::RecordsSource>> {
        let Some(text) = &self.app_records_url else { return Ok(None) };
        let url = url::Url::parse(text).context("app_records_url must be a URL")?;
        Ok(Some(crate::records::RecordsSource { url, key: self.app_records_key.clone() }))
    }
}
