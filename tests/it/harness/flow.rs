//! An install flow of custom authentication, step by step, as a browser would go through it (Wix's rules 3.3).

use url::Url;

use super::http::{Answer, Jar, ask, get, parameter};
use super::stage::Stage;

/// A flow that has begun: the Worker has sent the browser to Wix.
pub struct Flow {
    /// Where the Worker sent the browser.
    pub consent: Url,
    pub state: String,
}

impl Flow {
    /// Opens `/install`, with the token that Wix gives or without.
    pub fn begin(stage: &Stage, jar: &mut Jar, token: Option<&str>) -> Self {
        Self::begin_at(&stage.worker.url, jar, token)
    }

    /// The same, at a Worker's address.
    pub fn begin_at(worker: &str, jar: &mut Jar, token: Option<&str>) -> Self {
        let query = token.map(|token| format!("?token={token}")).unwrap_or_default();
        let consent = jar.get(format!("{worker}/install{query}")).expect(302).location();
        Self { state: parameter(&consent, "state"), consent }
    }

    /// Agrees to everything on Wix's page, for this site, and gives the address that Wix sends the browser to.
    pub fn agree(&self, site: &str) -> Url {
        get(&self.consent).expect(200);
        let mut form: Vec<(String, String)> = self.consent.query_pairs().into_owned().collect();
        form.push(("site_id".to_owned(), site.to_owned()));
        form.push(("decision".to_owned(), "agree".to_owned()));
        let fields: Vec<(&str, &str)> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let page = self.consent.join("/installer/consent").expect("an address at Wix");
        ask("POST", page).form(&fields).send().expect(302).location()
    }
}

/// A finished install.
pub struct Installed {
    pub instance: String,
    /// The Worker's answer to the callback.
    pub answer: Answer,
}

impl Stage {
    /// A whole flow on a new site with a browser of its own.
    pub fn install(&self) -> Installed {
        let site = self.wix.site();
        let token = self.wix.install_token(&site);
        let mut jar = Jar::default();
        let callback = Flow::begin(self, &mut jar, Some(&token)).agree(&site);
        let instance = parameter(&callback, "instanceId");
        let answer = jar.get(&callback).expect(302);
        self.wix.delivered(&instance);
        Installed { instance, answer }
    }

    /// An address like Wix's callback, for what is not to be had by agreeing.
    pub fn callback(&self, code: &str, instance: &str, state: &str) -> Url {
        let mut url = Url::parse(&self.worker.at("/redirect")).expect("an address of the Worker's");
        url.query_pairs_mut().append_pair("code", code).append_pair("instanceId", instance).append_pair("state", state);
        url
    }
}
