//! How a simulator is set up.

use anyhow::Context as _;

use crate::shared::loopback_url;

/// Everything a simulator starts with; `Settings::default()` is a free port, a fresh app and a fresh key.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The port on 127.0.0.1; 0 for a free one.
    pub port: u16,
    /// The app's id, a GUID; a fresh one where `None`.
    pub app_id: Option<String>,
    /// The app's secret; a fresh one where `None`.
    pub app_secret: Option<String>,
    /// The app's private key in PEM (PKCS#8 or PKCS#1); a fresh RSA-2048 key where `None`.
    pub private_key_pem: Option<String>,
    /// The App URL (custom authentication).
    pub app_url: Option<String>,
    /// The registered redirect URLs (custom authentication).
    pub redirect_urls: Vec<String>,
    /// Where webhooks are delivered.
    pub webhook_url: Option<String>,
    /// What webhook waits are divided by.
    pub time_scale: f64,
    /// Where the app lists its instances, for the page.
    pub app_records_url: Option<String>,
    /// The API key for that list.
    pub app_records_key: Option<String>,
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
            time_scale: 1.0,
            app_records_url: None,
            app_records_key: None,
        }
    }
}

impl Settings {
    /// Names the first setting that cannot work.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        let urls = self.app_url.iter().chain(&self.redirect_urls).chain(&self.webhook_url).chain(&self.app_records_url);
        for url in urls {
            loopback_url(url).map_err(anyhow::Error::msg)?;
        }
        if let Some(id) = &self.app_id {
            anyhow::ensure!(crate::ids::is_guid(id), "the app id {id:?} is no GUID");
        }
        anyhow::ensure!(self.app_secret.as_deref() != Some(""), "the app secret is empty");
        anyhow::ensure!(self.time_scale.is_finite() && self.time_scale > 0.0, "the time scale must be greater than 0");
        Ok(())
    }

    /// The list of the app's own records, if one was named.
    pub(crate) fn records(&self) -> anyhow::Result<Option<crate::records::RecordsSource>> {
        let Some(text) = &self.app_records_url else { return Ok(None) };
        let url = url::Url::parse(text).context("the URL of the app's records cannot be read")?;
        Ok(Some(crate::records::RecordsSource { url, key: self.app_records_key.clone() }))
    }
}
