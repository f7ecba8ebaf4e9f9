//! Growth of cost and memory with the number of instances, the size of a message, and uptime.

use std::collections::BTreeMap;

use anyhow::Result;

use crate::client::{self, Request};
use crate::figures::Figure;
use crate::routes::{api, event, token};
use crate::stage::{Running, Stage};
use crate::usage::{cpu, memory};

/// The number of seeded instances that get messages: signing one takes longer than verifying it.
const SIGNED: usize = 500;

/// The CPU time of a request in microseconds, averaged over `count` requests.
fn cost(worker: &Running, requests: &[Request], count: usize) -> Result<f64> {
    let before = cpu(&worker.ids)?;
    client::many(&worker.url, requests, count)?;
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let cost = (cpu(&worker.ids)? - before) as f64 / count as f64 / 1000.0;
    Ok(cost)
}

/// Measures the growth with instances and with message size. Each measurement sends `count` requests.
pub fn growth(stage: &Stage, rounds: usize, count: usize) -> Result<BTreeMap<String, Figure>> {
    let mut found = BTreeMap::new();
    for seeded in [1, 1_000, 100_000] {
        stage.kv.delete_where(|_| true);
        let ids = stage.seed(seeded);
        let (edge, _) = stage.start(&stage.edge()?, &Request::new("GET", "/healthz", &[], 200))?;
        let step = (seeded / SIGNED).max(1);
        let sample = || ids.iter().step_by(step);
        let events: Vec<Request> = sample().map(|id| event(stage, id, 1200)).collect::<Result<_>>()?;
        let reads: Vec<Request> = sample().map(|id| api("GET", &format!("/v1/instances/{id}"), None)).collect();
        for (name, requests) in [("webhook", events), ("instance", reads)] {
            cost(&edge, &requests, count)?;
            let costs: Vec<f64> = (0..rounds).map(|_| cost(&edge, &requests, count)).collect::<Result<_>>()?;
            found.insert(format!("{name}, {seeded:>6} instances in KV, µs"), Figure::of(costs));
        }
        if seeded == 1_000 {
            let (peer, _) = stage.start(&stage.peer("webcrypto")?, &Request::new("GET", "/", &[], 404))?;
            for kib in [1, 4, 16, 64, 256] {
                let requests = [event(stage, &first_id(&ids), kib * 1024 - 600)?];
                for (name, worker) in [("wix-edge", &edge), ("JS, WebCrypto", &peer)] {
                    let costs: Vec<f64> =
                        (0..rounds).map(|_| cost(worker, &requests, count / 4)).collect::<Result<_>>()?;
                    found.insert(format!("webhook of {kib:>3} KiB, {name}, µs"), Figure::of(costs));
                }
            }
        }
    }
    Ok(found)
}

fn first_id(ids: &[String]) -> String {
    ids.first().cloned().unwrap_or_default()
}

/// Sends mixed requests, and measures the cost of a request and the memory of workerd at the start and at the end.
pub fn uptime(stage: &Stage, count: usize) -> Result<BTreeMap<String, Figure>> {
    stage.kv.delete_where(|_| true);
    let ids = stage.seed(1_000);
    let (edge, _) = stage.start(&stage.edge()?, &Request::new("GET", "/healthz", &[], 200))?;
    let mut requests = Vec::new();
    for id in ids.iter().step_by(5) {
        requests.extend([
            event(stage, id, 1200)?,
            token(id),
            Request::new("GET", "/install", &[], 302),
            api("GET", &format!("/v1/instances/{id}/wix/short"), None),
            api("GET", &format!("/v1/instances/{id}"), None),
        ]);
    }
    let blocks: u32 = 10;
    let mut found = BTreeMap::new();
    for block in 0..=blocks {
        let cost = cost(&edge, &requests, count / blocks as usize)?;
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let held = memory(&edge.ids)? as f64 / 1_048_576.0;
        println!(
            "    after {:>7} requests: {cost:>5.0} µs per request, {held:>4.0} MiB",
            count / blocks as usize * (block as usize + 1)
        );
        // The first block fills the caches and does not count.
        if block == 1 || block == blocks {
            let when = if block == 1 { "at the start" } else { "at the end" };
            found.insert(format!("mixed requests, {when}, µs"), Figure::of([cost]));
            found.insert(format!("mixed requests, {when}, MiB"), Figure::of([held]));
        }
    }
    Ok(found)
}

/// Requests a token for each of many instances, to show that the isolate's memory is bounded.
pub fn many_instances(stage: &Stage, count: usize) -> Result<BTreeMap<String, Figure>> {
    stage.kv.delete_where(|_| true);
    let ids = stage.seed(count);
    let (edge, _) = stage.start(&stage.edge()?, &Request::new("GET", "/healthz", &[], 200))?;
    let mut found = BTreeMap::new();
    let tenth = (count / 10).max(1);
    for (number, ids) in ids.chunks(tenth).enumerate() {
        let requests: Vec<Request> = ids.iter().map(|id| token(id)).collect();
        let cost = cost(&edge, &requests, requests.len())?;
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let held = memory(&edge.ids)? as f64 / 1_048_576.0;
        println!("    tokens of {:>7} instances: {cost:>5.0} µs per request, {held:>4.0} MiB", tenth * (number + 1));
        if number == 0 || number == 9 {
            let total = tenth * (number + 1);
            found.insert(format!("tokens of {total:>6} instances, MiB"), Figure::of([held]));
            found.insert(format!("tokens of {total:>6} instances, µs"), Figure::of([cost]));
        }
    }
    Ok(found)
}
