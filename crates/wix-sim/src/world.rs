//! What the simulator remembers: the app, its sites and installs, tokens, and a record of all that happened.
//!
//! Held in memory. Secrets and whole tokens are keys here and never leave; what is shown carries fingerprints.

use std::collections::{BTreeMap, HashMap, VecDeque};

use serde::Serialize;
use serde_json::Value;

use crate::faults::{Endpoint, Fault};
use crate::switches::Switches;
use crate::webhook::Delivery;

/// Records kept of each kind; the oldest go first.
pub(crate) const KEPT: usize = 2_000;

/// The app as its dashboard describes it.
#[expect(clippy::struct_field_names, reason = "the names are Wix's own")]
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct App {
    pub app_id: String,
    #[serde(skip)]
    pub secret: String,
    /// The one before it, while Wix still takes it.
    #[serde(skip)]
    pub previous_secret: Option<String>,
    pub name: String,
    pub app_url: Option<String>,
    pub redirect_urls: Vec<String>,
    pub webhook_url: Option<String>,
    /// Whether the app ever sent `APP_FINISHED_CONFIGURATION`, which cannot be undone (section 6).
    pub sends_finished_configuration: bool,
}

/// A Wix site and its owner.
#[expect(clippy::struct_field_names, reason = "the names are Wix's own")]
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Site {
    pub site_id: String,
    pub name: String,
    pub owner_id: String,
    pub account_id: String,
    pub owner_email: String,
    pub url: String,
    pub locale: String,
    pub currency: String,
}

/// Whether the app is there now.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    Installed,
    Removed,
}

/// A paid plan, as Get App Instance tells of it (section 7).
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Plan {
    pub vendor_product_id: String,
    pub cycle: String,
    pub time_stamp: String,
    pub expires_on: Option<String>,
    pub invoice_id: Option<String>,
    pub auto_renewing: bool,
}

/// The app on one site.
#[expect(clippy::struct_field_names, reason = "the names are Wix's own")]
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Instance {
    pub instance_id: String,
    pub site_id: String,
    pub status: Status,
    pub origin_instance_id: Option<String>,
    /// Major version, raised by an update that needs consent (section 3.6).
    pub major_version: u32,
    pub plan: Option<Plan>,
    pub configured: bool,
    pub setup_incomplete: bool,
    pub first_installed_at_ms: i64,
    pub installed_at_ms: i64,
    pub removed_at_ms: Option<i64>,
    /// The id of the newer App Installation entity, and how often it changed (section 5).
    #[serde(skip)]
    pub installation_id: String,
    #[serde(skip)]
    pub revision: u32,
}

/// What a token is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TokenKind {
    ClientCredentials,
    LegacyAccess,
    LegacyRefresh,
}

/// A token that was given out.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub kind: TokenKind,
    pub instance_id: String,
    pub issued_at_ms: i64,
    /// No end where `None`.
    pub expires_at_ms: Option<i64>,
    pub dead: bool,
}

impl Token {
    pub(crate) fn live(&self, now_ms: i64) -> bool {
        !self.dead && self.expires_at_ms.is_none_or(|end| now_ms < end)
    }
}

/// An authorization code.
#[derive(Clone, Debug)]
pub(crate) struct Code {
    pub instance_id: String,
    pub issued_at_ms: i64,
    pub used: bool,
}

/// A call to one of Wix's endpoints.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Call {
    pub id: u64,
    pub at_ms: i64,
    pub method: String,
    pub path: String,
    pub endpoint: Endpoint,
    pub grant_type: Option<String>,
    pub instance_id: Option<String>,
    /// 0 where the connection was cut.
    pub status: u16,
    pub duration_ms: i64,
    pub fault: Option<String>,
    pub request_id: String,
    /// The request's `Cache-Control` and `Pragma`: whether the app kept caches on the way out of it.
    pub cache_control: Option<String>,
    pub pragma: Option<String>,
}

/// Something the app did that Wix's rules forbid, or that is a known mistake (section 11).
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Finding {
    pub at_ms: i64,
    pub path: String,
    pub rule: &'static str,
    pub detail: String,
}

/// A BI event that was accepted.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct BiEvent {
    pub at_ms: i64,
    pub instance_id: String,
    pub event_name: String,
    pub custom_event_name: Option<String>,
    pub event_data: Value,
}

/// A browser at the close-window page.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct CloseVisit {
    pub id: u64,
    pub at_ms: i64,
    pub token_fingerprint: Option<String>,
    pub token_live: bool,
    pub instance_id: Option<String>,
    /// Whether it looked like a browser's navigation (`Sec-Fetch-Mode: navigate`).
    pub by_browser: bool,
    /// `None` until the page's script has reported.
    pub opener_reachable: Option<bool>,
    #[serde(skip)]
    pub report_key: String,
}

/// Everything.
#[derive(Default)]
pub(crate) struct World {
    pub app: App,
    pub switches: Switches,
    pub faults: Vec<Fault>,
    pub sites: BTreeMap<String, Site>,
    pub instances: BTreeMap<String, Instance>,
    pub tokens: HashMap<String, Token>,
    pub codes: HashMap<String, Code>,
    /// The codes in the order they were given out.
    pub code_order: VecDeque<String>,
    /// The `token` values handed to the App URL, and the site each stands for.
    pub install_tokens: HashMap<String, String>,
    /// These in the order they were given out.
    pub install_token_order: VecDeque<String>,
    pub calls: VecDeque<Call>,
    pub counts: BTreeMap<Endpoint, u64>,
    pub findings: VecDeque<Finding>,
    pub bi_events: VecDeque<BiEvent>,
    pub close_visits: VecDeque<CloseVisit>,
    pub deliveries: BTreeMap<u64, Delivery>,
    /// The moments of each instance's calls within the last minute.
    pub recent_calls: HashMap<String, VecDeque<i64>>,
    pub last_id: u64,
}

impl World {
    /// A number that was not given out before.
    pub(crate) fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// The instance of a site, whatever its status.
    pub(crate) fn instance_of_site(&self, site_id: &str) -> Option<&Instance> {
        self.instances.values().find(|instance| instance.site_id == site_id)
    }

    /// Whether the app is installed under this instance id now.
    pub(crate) fn installed(&self, instance_id: &str) -> bool {
        self.instances.get(instance_id).is_some_and(|instance| instance.status == Status::Installed)
    }

    /// Gives out a code, and forgets the oldest one where there are too many.
    pub(crate) fn give_code(&mut self, code: String, instance_id: String, now_ms: i64) {
        self.codes.insert(code.clone(), Code { instance_id, issued_at_ms: now_ms, used: false });
        if let Some(oldest) = pushed_out(&mut self.code_order, code) {
            self.codes.remove(&oldest);
        }
    }

    /// Gives out a `token` for the App URL, and forgets the oldest one where there are too many.
    pub(crate) fn give_install_token(&mut self, token: String, site_id: String) {
        self.install_tokens.insert(token.clone(), site_id);
        if let Some(oldest) = pushed_out(&mut self.install_token_order, token) {
            self.install_tokens.remove(&oldest);
        }
    }

    /// Writes down a finding.
    pub(crate) fn find(&mut self, at_ms: i64, path: &str, rule: &'static str, detail: impl Into<String>) {
        push(&mut self.findings, Finding { at_ms, path: path.to_owned(), rule, detail: detail.into() });
    }
}

/// Codes, and install tokens, that are remembered.
const REMEMBERED: usize = 10_000;

/// Adds a name at the end; answers the oldest one where it has to go.
fn pushed_out(order: &mut VecDeque<String>, name: String) -> Option<String> {
    order.push_back(name);
    if order.len() > REMEMBERED { order.pop_front() } else { None }
}

/// Adds a record and lets the oldest go.
pub(crate) fn push<T>(records: &mut VecDeque<T>, record: T) {
    if records.len() >= KEPT {
        records.pop_front();
    }
    records.push_back(record);
}

#[cfg(test)]
mod tests;
