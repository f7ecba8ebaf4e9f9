//! The steps of a request, and the failures that are injected at each.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use workerd::{Fault, Kind, Op, Operation};

use crate::harness::{TIMEOUT, Testbed};

/// A KV operation or a call to Wix, before the response or in a deferred task.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// An operation on a kind of entry, with its number among equal operations, from 1.
    Kv(Op, String, u32),
    /// All operations, for a route that has none: proves that KV does not matter.
    WholeKv,
    /// A call to an endpoint.
    Wix(String),
    /// A request to an object, by its path.
    Object(String),
    /// A statement of an object that writes, with the work that it belongs to.
    Statement(String),
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
            Self::Object(name) | Self::Statement(name) => name.clone(),
        }
    }
}

/// The kind of an entry by its key: `fact` for `v1:fact:…`.
pub fn kind_of(key: &str) -> String {
    key.split(':').nth(1).unwrap_or(key).to_owned()
}

/// The KV steps, in the order of the operations.
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

/// A failure that is injected at a step.
#[derive(Clone)]
pub struct Failure {
    pub name: &'static str,
    /// Whether the failure hits concurrent writes, so that chance decides which of them are stored.
    pub is_race: bool,
    what: Kinds,
}

#[derive(Clone)]
enum Kinds {
    /// The fault, and the number of operations from the step on.
    Kv(Kind, u32),
    Wix(Value, u32),
    /// The kind of failure (`tests/it/events/entry.mjs`), and how often it happens.
    Object(&'static str, u32),
}

const ALWAYS: u32 = u32::MAX;
/// How the name of a statement of a delivery begins, which runs after the response.
const DELIVERY: &str = "delivery:";
/// Longer than the Worker's time limit for KV, and not near any of its retries.
const SLOW: Duration = Duration::from_millis(1_700);
/// Longer than a case takes.
const STALE_BY: Duration = Duration::from_mins(1);

/// The failures of a step.
pub fn failures(step: &Step) -> Vec<Failure> {
    let kv = |name, kind, times| Failure { name, is_race: false, what: Kinds::Kv(kind, times) };
    let wix = |name, fault, times| Failure { name, is_race: false, what: Kinds::Wix(fault, times) };
    let status = |status: u16| json!({ "kind": "status", "status": status });
    let object = |name, kind, times| Failure { name, is_race: false, what: Kinds::Object(kind, times) };
    let refused = json!({ "kind": "refused", "status": 400, "error": "invalid_request" });
    match step {
        Step::Kv(op, ..) => {
            let mut all = vec![
                kv("fails", Kind::Status(500), ALWAYS),
                kv("slow", Kind::Delay(SLOW), ALWAYS),
                Failure { is_race: true, ..kv("down from here", Kind::Crash, ALWAYS) },
            ];
            match op {
                Op::Read | Op::List => all.push(kv("stale", Kind::Stale(STALE_BY), ALWAYS)),
                Op::Write => {
                    all.push(kv("too many", Kind::Status(429), 1));
                    all.push(kv("answer lost", Kind::LostResponse(500), 1));
                }
                Op::Remove => all.push(kv("answer lost", Kind::LostResponse(500), 1)),
            }
            all
        }
        Step::Object(_) => vec![
            object("throws", "throw", ALWAYS),
            object("slow", "hang", ALWAYS),
            object("answer lost", "lost", ALWAYS),
            object("disconnected once", "retryable", 1),
            object("disconnected", "retryable", ALWAYS),
            object("overloaded once", "overloaded", 1),
        ],
        // The number of attempts while it fails is chance.
        Step::Statement(on) if on.starts_with(DELIVERY) => vec![object("fails once", "sql", 1)],
        Step::Statement(_) => vec![object("fails", "sql", ALWAYS)],
        Step::WholeKv => vec![kv("down from here", Kind::Crash, ALWAYS)],
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

/// Wix takes seven seconds for each response. A request has fifteen seconds for all calls.
pub fn seven_second_delay() -> Failure {
    Failure { name: "7 s", is_race: false, what: Kinds::Wix(json!({ "kind": "delay", "delay_ms": 7_000 }), 40) }
}

impl Failure {
    /// Adds the faults.
    pub fn inject(&self, bed: &Testbed, id: &str, step: &Step) {
        match (&self.what, step) {
            (Kinds::Kv(kind, times), Step::Kv(op, record, count)) => {
                let prefix = format!("v1:{record}");
                bed.kv.add_fault(Fault::new(*kind).on(*op).prefix(prefix).after(count - 1).times(*times));
            }
            (Kinds::Kv(kind, _), _) => bed.kv.add_fault(Fault::new(*kind)),
            (Kinds::Wix(kind, times), Step::Wix(endpoint)) => bed.wix.add_fault(id, endpoint, *times, kind),
            (Kinds::Object(kind, times), Step::Object(on) | Step::Statement(on)) => {
                let times = if *times == ALWAYS { String::new() } else { format!("&times={times}") };
                bed.fail_objects(&format!("fail={kind}&on={}{times}", on.replace(' ', "%20")));
            }
            (Kinds::Object(..), _) => {
                panic!("a fault of an object must be at a step of an object, not at {}", step.name())
            }
            (Kinds::Wix(..), _) => panic!("a fault of Wix must be at a call to Wix, not at {}", step.name()),
        }
    }

    /// Removes the faults. One in a delivery is removed only after it has happened.
    pub fn remove(&self, bed: &Testbed, id: &str, step: &Step) {
        if matches!(step, Step::Statement(on) if on.starts_with(DELIVERY)) {
            let until = Instant::now() + TIMEOUT;
            while bed.objects("")["failed"] == 0 && Instant::now() < until {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        match &self.what {
            Kinds::Kv(..) => bed.kv.clear_faults(),
            Kinds::Wix(..) => bed.wix.remove_faults(id),
            Kinds::Object(..) => bed.fail_objects("fail="),
        }
    }
}
