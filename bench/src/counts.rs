//! The numbers of calls to Wix and of KV operations for each route, before the response and with deferred tasks.

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use crate::client::{self, Request};
use crate::report::{Counts, Work};
use crate::routes::{api, event, redirect, token, webhook};
use crate::stage::{Running, Stage, instance};

/// The time of the deferred tasks, which wait for KV's limit of one write a second.
const TASK_TIME: Duration = Duration::from_millis(2_500);

/// Counts the requests of a new isolate, with one instance in KV.
pub fn counts(stage: &Stage, edge: &Running) -> Result<BTreeMap<String, Counts>> {
    stage.kv.delete_where(|_| true);
    stage.seed(1);
    let (id, new) = (instance(0), |number: usize| instance(0xffff_0000 + number));
    let of_app = |kind: &str, number: usize| -> Result<Request> {
        let data = json!({ "appId": crate::stage::APP_ID, "originInstanceId": "" });
        Ok(webhook(&stage.key.message(kind, &new(number), &data, 1200)?, 200))
    };
    let installed = of_app("AppInstalled", 1)?;
    let requests: Vec<(&str, Request)> = vec![
        ("healthz", Request::new("GET", "/healthz", &[], 200)),
        ("install", Request::new("GET", "/install", &[], 302)),
        ("webhook, first event of an instance", event(stage, &id, 1200)?),
        ("webhook, further events", event(stage, &id, 1200)?),
        ("webhook, no JWT", webhook("no JWT", 400)),
        ("webhook, installed", installed.clone()),
        ("webhook, installed, repeated", installed),
        ("webhook, removed", of_app("AppRemoved", 1)?),
        ("token, first", token(&id)),
        ("token, from memory", token(&id)),
        ("proxy", api("GET", &format!("/v1/instances/{id}/wix/short"), None)),
        ("instance", api("GET", &format!("/v1/instances/{id}"), None)),
        ("instances", api("GET", "/v1/instances?limit=100", None)),
        ("redirect", redirect(edge, &new(2))?),
    ];
    let mut found = BTreeMap::new();
    for (route, request) in requests {
        stage.upstream.take();
        stage.kv.clear_operations();
        client::one(&edge.url, &request)?;
        let mut seen = BTreeMap::new();
        let mut work = || {
            for (path, count) in stage.upstream.take() {
                *seen.entry(path).or_insert(0) += count;
            }
            let kv = stage.kv.counts();
            Work {
                wix: seen.values().sum(),
                reads: kv.reads,
                writes: kv.writes,
                removals: kv.removals,
                lists: kv.lists,
            }
        };
        let before = work();
        if before.writes > 0 {
            sleep(TASK_TIME);
        }
        found.insert(route.to_owned(), Counts { before, in_all: work() });
    }
    Ok(found)
}
