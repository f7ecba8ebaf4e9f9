//! The state of the simulator: the app, its sites and instances, tokens, and records of calls and events.
//!
//! In memory only. Secrets and tokens never leave it; the control API shows fingerprints.

use std::collections::{BTreeMap, HashMap, VecDeque};

use serde::Serialize;
use serde_json::Value;

use crate::app_backend::Inbox;
use crate::faults::{Endpoint, Fault};
use crate::switches::Switches;
use crate::webhook::Delivery;

/// The number of records of each kind. A new record replaces the oldest.
pub(crate) const MAX_RECORDS: usize = 2_000;

/// The app, with the fields of its dashboard.
#[expect(clippy::struct_field_names, reason = "the names are Wix's own")]
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct App {
    pub app_id: String,
    #[serde(skip)]
    pub secret: String,
    /// The previous secret, while Wix still accepts it.
    #[serde(skip)]
    pub previous_secret: Option<String>,
    pub name: String,
    pub app_url: Option<String>,
    pub redirect_urls: Vec<String>,
    pub webhook_url: Option<String>,
    /// The base URI of the app's service plugins, to which the path of a call is added.
    pub plugins_url: Option<String>,
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

/// Whether the app is installed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    Installed,
    Removed,
}

/// A paid plan, as Get App Instance returns it (section 7).
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Plan {
    pub vendor_product_id: String,
    pub cycle: String,
    pub time_stamp: String,
    pub expires_on: Option<String>,
    /// The end of the free trial, while there is one.
    pub trial_ends_on: Option<String>,
    pub invoice_id: Option<String>,
    pub auto_renewing: bool,
    /// Whether the next payment fails: the date passes, and the site keeps the plan.
    pub payment_failed: bool,
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
    /// The id of the newer App Installation entity; `revision` counts its changes (section 5).
    #[serde(skip)]
    pub installation_id: String,
    #[serde(skip)]
    pub revision: u32,
}

/// The kind of a token.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TokenKind {
    ClientCredentials,
    LegacyAccess,
    LegacyRefresh,
}

/// An issued token.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub kind: TokenKind,
    pub instance_id: String,
    pub issued_at_ms: i64,
    /// `None` if the token does not expire.
    pub expires_at_ms: Option<i64>,
    pub revoked: bool,
}

impl Token {
    pub(crate) fn live(&self, now_ms: i64) -> bool {
        !self.revoked && self.expires_at_ms.is_none_or(|end| now_ms < end)
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
    /// The status of the response; 0 if the connection was cut.
    pub status: u16,
    pub duration_ms: i64,
    pub fault: Option<String>,
    pub request_id: String,
    /// The request's `Cache-Control` and `Pragma`, which show whether the app bypasses caches.
    pub cache_control: Option<String>,
    pub pragma: Option<String>,
}

/// A violation of Wix's rules, or a known mistake, of the app (section 11).
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Finding {
    pub at_ms: i64,
    pub path: String,
    pub rule: &'static str,
    pub detail: String,
}

/// An accepted BI event.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct BiEvent {
    pub at_ms: i64,
    pub instance_id: String,
    pub event_name: String,
    pub custom_event_name: Option<String>,
    pub event_data: Value,
}

/// A request for the close-window page.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct CloseVisit {
    pub id: u64,
    pub at_ms: i64,
    pub token_fingerprint: Option<String>,
    pub token_live: bool,
    pub instance_id: Option<String>,
    /// Whether the request was a browser navigation (`Sec-Fetch-Mode: navigate`).
    pub by_browser: bool,
    /// `None` until the page's script reports it.
    pub opener_reachable: Option<bool>,
    #[serde(skip)]
    pub report_key: String,
}

/// The whole state.
#[derive(Default)]
pub(crate) struct World {
    pub app: App,
    pub switches: Switches,
    pub faults: Vec<Fault>,
    pub sites: BTreeMap<String, Site>,
    pub instances: BTreeMap<String, Instance>,
    pub tokens: HashMap<String, Token>,
    pub codes: HashMap<String, Code>,
    /// The codes, oldest first.
    pub code_order: VecDeque<String>,
    /// The `token` values for the App URL, each with its site.
    pub install_tokens: HashMap<String, String>,
    /// The `token` values, oldest first.
    pub install_token_order: VecDeque<String>,
    pub calls: VecDeque<Call>,
    pub counts: BTreeMap<Endpoint, u64>,
    pub findings: VecDeque<Finding>,
    pub bi_events: VecDeque<BiEvent>,
    pub close_visits: VecDeque<CloseVisit>,
    pub deliveries: BTreeMap<u64, Delivery>,
    /// What the app received.
    pub inbox: Inbox,
    /// The times of each instance's calls within the last minute.
    pub recent_calls: HashMap<String, VecDeque<i64>>,
    pub last_id: u64,
}

impl Instance {
    /// The instance with the plan that it has at a time.
    pub(crate) fn at(&self, now_ms: i64) -> Self {
        Self { plan: self.plan.as_ref().and_then(|plan| plan.at(now_ms)), ..self.clone() }
    }
}

impl World {
    /// A new, unique number.
    pub(crate) fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// The instance of a site, whatever its status.
    pub(crate) fn instance_of_site(&self, site_id: &str) -> Option<&Instance> {
        self.instances.values().find(|instance| instance.site_id == site_id)
    }

    /// Whether the instance exists and the app is installed.
    pub(crate) fn installed(&self, instance_id: &str) -> bool {
        self.instances.get(instance_id).is_some_and(|instance| instance.status == Status::Installed)
    }

    /// Stores a new code, and drops the oldest if there are more than [`MAX_CODES`].
    pub(crate) fn issue_code(&mut self, code: String, instance_id: String, now_ms: i64) {
        self.codes.insert(code.clone(), Code { instance_id, issued_at_ms: now_ms, used: false });
        if let Some(oldest) = push_and_evict(&mut self.code_order, code) {
            self.codes.remove(&oldest);
        }
    }

    /// Stores a new `token` for the App URL, and drops the oldest if there are more than [`MAX_CODES`].
    pub(crate) fn issue_install_token(&mut self, token: String, site_id: String) {
        self.install_tokens.insert(token.clone(), site_id);
        if let Some(oldest) = push_and_evict(&mut self.install_token_order, token) {
            self.install_tokens.remove(&oldest);
        }
    }

    /// Records a finding.
    pub(crate) fn add_finding(&mut self, at_ms: i64, path: &str, rule: &'static str, detail: impl Into<String>) {
        push(&mut self.findings, Finding { at_ms, path: path.to_owned(), rule, detail: detail.into() });
    }
}

/// The number of codes, and of install tokens, that are stored.
const MAX_CODES: usize = 10_000;

/// Appends a name. Returns the oldest one if the queue is over its limit.
fn push_and_evict(order: &mut VecDeque<String>, name: String) -> Option<String> {
    order.push_back(name);
    if order.len() > MAX_CODES { order.pop_front() } else { None }
}

/// Appends a record, and drops the oldest if the queue is full.
pub(crate) fn push<T>(records: &mut VecDeque<T>, record: T) {
    if records.len() >= MAX_RECORDS {
        records.pop_front();
    }
    records.push_back(record);
}

#[cfg(test)]
mod tests;
