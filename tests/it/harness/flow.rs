//! The install flow of custom authentication, step by step, as a browser runs it (docs/wix.md 3.3).

use url::Url;

use super::http::{Jar, Response, get, parameter, request};
use super::stage::Stage;

/// A flow that has begun: the Worker has redirected the browser to Wix.
pub struct Flow {
    /// The URL of Wix's installer, with the Worker's parameters.
    pub installer: Url,
    pub state: String,
}

impl Flow {
    /// Opens `/install`, with or without Wix's `token`.
    pub fn begin(stage: &Stage, jar: &mut Jar, token: Option<&str>) -> Self {
        Self::begin_at(&stage.worker.url, jar, token)
    }

    /// Opens `/install` at the given origin.
    pub fn begin_at(worker: &str, jar: &mut Jar, token: Option<&str>) -> Self {
        let query = token.map(|token| format!("?token={token}")).unwrap_or_default();
        let installer = jar.get(format!("{worker}/install{query}")).expect(302).location();
        Self { state: parameter(&installer, "state"), installer }
    }

    /// Gives consent on Wix's page for a site. Returns the callback to which Wix redirects the browser.
    pub fn consent(&self, site: &str) -> Url {
        get(&self.installer).expect(200);
        let mut form: Vec<(String, String)> = self.installer.query_pairs().into_owned().collect();
        form.push(("site_id".to_owned(), site.to_owned()));
        form.push(("decision".to_owned(), "agree".to_owned()));
        let fields: Vec<(&str, &str)> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let page = self.installer.join("/installer/consent").expect("a URL");
        request("POST", page).form(&fields).send().expect(302).location()
    }

    /// A URL like Wix's callback, without a consent.
    pub fn callback(worker: &str, code: &str, instance: &str, state: &str) -> Url {
        let mut url = Url::parse(worker).expect("a URL").join("/redirect").expect("a path");
        url.query_pairs_mut().append_pair("code", code).append_pair("instanceId", instance).append_pair("state", state);
        url
    }
}

/// Opens `/connect` with a query, and decides on Wix's page for a site. Returns the callback to which Wix redirects the
/// browser (docs/wix.md 3.2).
pub fn external(worker: &str, jar: &mut Jar, query: &str, site: &str, decision: &str) -> Url {
    let installer = jar.get(format!("{worker}/connect{query}")).expect(302).location();
    get(&installer).expect(200);
    let mut form: Vec<(String, String)> = installer.query_pairs().into_owned().collect();
    for (name, value) in [("flow", "external"), ("site_id", site), ("decision", decision)] {
        form.push((name.to_owned(), value.to_owned()));
    }
    let fields: Vec<(&str, &str)> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let page = installer.join("/installer/consent").expect("a URL");
    request("POST", page).form(&fields).send().expect(302).location()
}

/// A finished install.
pub struct Installed {
    pub instance: String,
    /// The Worker's response to the callback.
    pub response: Response,
}

impl Stage {
    /// Runs a whole flow on a new site in a new browser.
    pub fn install(&self) -> Installed {
        let site = self.wix.site();
        let token = self.wix.install_token(&site);
        let mut jar = Jar::default();
        let callback = Flow::begin(self, &mut jar, Some(&token)).consent(&site);
        let instance = parameter(&callback, "instanceId");
        let response = jar.get(&callback).expect(302);
        self.wix.wait_for_deliveries(&instance);
        Installed { instance, response }
    }

    /// A URL like Wix's callback, for parameters that a real consent does not produce.
    pub fn callback(&self, code: &str, instance: &str, state: &str) -> Url {
        Flow::callback(&self.worker.url, code, instance, state)
    }
}
