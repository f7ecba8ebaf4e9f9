//! The steps of a request, as they are seen from outside, and what can go wrong at each.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use workerd::{Fault, Kind, Op, Operation};

use crate::harness::Direct;

/// Something that is asked of KV or Wix on the way to an answer, or after it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// The how manieth operation of a kind on records of a kind, counted from 1.
    Kv(Op, String, u32),
    /// Every operation, where there is none: that there is none.
    WholeKv,
    /// A call of an endpoint.
    Wix(String),
}

impl Step {
    pub fn name(&self) -> String {
        match self {
            Self::Kv(op, kind, count) => {
                let op = match op {
                    Op::Read => "read",
                    Op::Write => "write",
                    Op::Remove => "remove",
                    Op::List => "list",
                };
                if *count == 1 { format!("{op} {kind}") } else { format!("{op} {kind} ({count})") }
            }
            Self::WholeKv => "none of KV's".to_owned(),
            Self::Wix(endpoint) => endpoint.clone(),
        }
    }
}

/// What kind of record a key is of: `fact` of `v1:fact:…`.
pub fn kind_of(key: &str) -> String {
    key.split(':').nth(1).unwrap_or(key).to_owned()
}

/// The steps on KV, in the order in which they were first seen.
pub fn steps_on_kv(operations: &[Operation]) -> Vec<Step> {
    let mut counts: BTreeMap<(Op, String), u32> = BTreeMap::new();
    let step = |operation: &Operation| {
        let kind = kind_of(&operation.key);
        let count = counts.entry((operation.op, kind.clone())).or_default();
        *count += 1;
        Step::Kv(operation.op, kind, *count)
    };
    let steps: Vec<Step> = operations.iter().map(step).collect();
    if steps.is_empty() { vec![Step::WholeKv] } else { steps }
}

/// What goes wrong at a step.
#[derive(Clone)]
pub struct Trouble {
    pub name: &'static str,
    /// Shared by all that is written at the same time, so that it is left to chance what of it is stored.
    pub is_a_race: bool,
    what: What,
}

#[derive(Clone)]
enum What {
    /// This many times from the step on.
    Kv(Kind, u32),
    Wix(Value, u32),
}

const EVER: u32 = u32::MAX;
/// Longer than KV may take, and far from every moment at which the Worker tries again.
const SLOW: Duration = Duration::from_millis(1_700);
/// Longer than a case.
const BEFORE: Duration = Duration::from_mins(1);

/// What can go wrong at a step.
pub fn troubles(step: &Step) -> Vec<Trouble> {
    let kv = |name, kind, times| Trouble { name, is_a_race: false, what: What::Kv(kind, times) };
    let wix = |name, fault, times| Trouble { name, is_a_race: false, what: What::Wix(fault, times) };
    let status = |status: u16| json!({ "kind": "status", "status": status });
    let refused = json!({ "kind": "refused", "status": 400, "error": "invalid_request" });
    match step {
        Step::Kv(op, ..) => {
            let mut all = vec![
                kv("fails", Kind::Status(500), EVER),
                kv("slow", Kind::Delay(SLOW), EVER),
                Trouble { is_a_race: true, ..kv("down from here", Kind::Crash, EVER) },
            ];
            match op {
                Op::Read | Op::List => all.push(kv("stale", Kind::Stale(BEFORE), EVER)),
                Op::Write => {
                    all.push(kv("too many", Kind::Status(429), 1));
                    all.push(kv("answer lost", Kind::LostResponse(500), 1));
                }
                Op::Remove => all.push(kv("answer lost", Kind::LostResponse(500), 1)),
            }
            all
        }
        Step::WholeKv => vec![kv("down from here", Kind::Crash, EVER)],
        Step::Wix(endpoint) => {
            let mut all = vec![
                wix("500 once", status(500), 1),
                wix("503, no body", status(503), 40),
                wix("429 once", json!({ "kind": "rate_limited" }), 1),
                wix("429, wait 1 s", json!({ "kind": "rate_limited", "retry_after": 1 }), 1),
                wix("429, wait 60 s", json!({ "kind": "rate_limited", "retry_after": 60 }), 1),
                wix("refused once", refused.clone(), 1),
                wix("refused", refused, 40),
                wix("403, a page", json!({ "kind": "status", "status": 403, "body": "<html>" }), 40),
                wix("invalid_client", json!({ "kind": "refused", "status": 401, "error": "invalid_client" }), 40),
                wix("slow", json!({ "kind": "delay", "delay_ms": 400 }), 40),
                wix("cut once", json!({ "kind": "cut" }), 1),
                wix("cut", json!({ "kind": "cut" }), 40),
                wix("answer lost", json!({ "kind": "cut", "processed": true }), 1),
                wix("body cut", json!({ "kind": "cut_body" }), 1),
                wix("half of the JSON", json!({ "kind": "malformed_json" }), 1),
                wix("wrong types", json!({ "kind": "wrong_types" }), 1),
            ];
            let tokens = endpoint.starts_with("oauth");
            for field in ["access_token", "refresh_token", "expires_in"].into_iter().filter(|_| tokens) {
                let name = match field {
                    "access_token" => "no access_token",
                    "refresh_token" => "no refresh_token",
                    _ => "no expires_in",
                };
                all.push(wix(name, json!({ "kind": "drop_field", "field": field }), 1));
            }
            if endpoint == "oauth_access" {
                let other = json!({ "kind": "replace_field", "field": "refresh_token", "value": "OAUTH2.other" });
                all.push(wix("other refresh_token", other, 1));
            }
            all
        }
    }
}

/// Wix takes seven seconds for each answer, and a request has fifteen for all.
pub fn slow_beyond_measure() -> Trouble {
    Trouble { name: "7 s", is_a_race: false, what: What::Wix(json!({ "kind": "delay", "delay_ms": 7_000 }), 40) }
}

impl Trouble {
    /// Begins.
    pub fn strike(&self, stand: &Direct, id: &str, step: &Step) {
        match (&self.what, step) {
            (What::Kv(kind, times), Step::Kv(op, record, count)) => {
                let prefix = format!("v1:{record}");
                stand.kv.add_fault(Fault::new(*kind).on(*op).prefix(prefix).after(count - 1).times(*times));
            }
            (What::Kv(kind, _), _) => stand.kv.add_fault(Fault::new(*kind)),
            (What::Wix(kind, times), Step::Wix(endpoint)) => stand.wix.fault(id, endpoint, *times, kind),
            (What::Wix(..), _) => panic!("Wix has no part in {}", step.name()),
        }
    }

    /// Ends.
    pub fn heal(&self, stand: &Direct, id: &str) {
        match &self.what {
            What::Kv(..) => stand.kv.clear_faults(),
            What::Wix(..) => stand.wix.take_back_faults(id),
        }
    }
}
