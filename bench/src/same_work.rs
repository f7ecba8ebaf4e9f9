//! Checks that the peers with the same work answer and log what wix-edge does, so that they stay comparable.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::PoisonError;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Map, Value};

use crate::client::{self, Request};
use crate::routes::{self, COMPARISONS, Case, FORGED, Kind};
use crate::stage::{Running, Stage};

/// How long log lines may take after the response.
const LOG_LIMIT: Duration = Duration::from_secs(5);

/// What a request shows: the names of its response's headers, and of the fields of its log lines, by their route.
#[derive(Debug, Eq, PartialEq)]
struct Shown {
    headers: BTreeSet<String>,
    lines: BTreeMap<String, BTreeSet<String>>,
}

/// Compares the responses and log lines of both cases of each comparison that claims the same work, and of each peer's
/// refusal of a forged message.
pub fn check(stage: &Stage) -> Result<()> {
    stage.seed(routes::INSTALLED);
    let cases = routes::cases(stage)?;
    let case = |name: &str| cases.iter().find(|case| case.name == name).context("a comparison must name a case");
    let folder = tempfile::Builder::new().prefix("bench-").tempdir()?;
    let mut workers: BTreeMap<&str, Running> = BTreeMap::new();
    let claims = COMPARISONS.iter().filter(|row| row.kind == Kind::SameWork).map(|row| (row.case, row.beside));
    for (ours, theirs) in claims.chain(FORGED.map(|theirs| ("webhook, forged", theirs))) {
        let mut shown = Vec::new();
        for case in [case(ours)?, case(theirs)?] {
            if !workers.contains_key(case.worker) {
                let objects = folder.path().join(case.worker.replace('/', "-"));
                fs::create_dir(&objects)?;
                let worker = stage.worker(case.worker, stage.build(), &objects)?;
                let health = Request::new("GET", "/healthz", &[], if case.is_ours() { 200 } else { 404 });
                workers.insert(case.worker, stage.start(&worker, &health)?.0);
            }
            shown.push(show(stage, case, workers.get(case.worker).context("the Worker was started")?)?);
        }
        let same = matches!(shown.as_slice(), [ours, theirs] if ours == theirs);
        ensure!(same, "{theirs}: the response's headers and the log's fields must be those of wix-edge:\n{shown:#?}");
    }
    Ok(())
}

/// Sends a request of the case twice, since the first one fills the caches, and shows the second.
fn show(stage: &Stage, case: &Case, worker: &Running) -> Result<Shown> {
    let clear = || worker.lines.lock().unwrap_or_else(PoisonError::into_inner).clear();
    clear();
    client::one(&worker.url, &case.request(stage)?).context(case.name)?;
    let wanted = lines(worker, case, &BTreeMap::new())?;
    clear();
    // The client fails if the status is not that of the case.
    let response = client::one(&worker.url, &case.request(stage)?).context(case.name)?;
    Ok(Shown { headers: response.header_names(), lines: lines(worker, case, &wanted)? })
}

/// Waits for a log line of each route that `wanted` has, or for the first line.
fn lines(
    worker: &Running,
    case: &Case,
    wanted: &BTreeMap<String, BTreeSet<String>>,
) -> Result<BTreeMap<String, BTreeSet<String>>> {
    let until = Instant::now() + LOG_LIMIT;
    loop {
        let lines = worker.lines.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let parsed = lines.iter().filter_map(|line| serde_json::from_str::<Map<String, Value>>(line).ok());
        let found: BTreeMap<String, BTreeSet<String>> = parsed
            // The request at the start of the Worker.
            .filter(|line| line.get("route").is_none_or(|route| route != "/healthz"))
            .filter_map(|line| Some((line.get("route")?.as_str()?.to_owned(), line.keys().cloned().collect())))
            .collect();
        let count = if case.is_delivered() { 2 } else { 1 };
        if found.len() >= count && wanted.keys().all(|route| found.contains_key(route)) {
            return Ok(found);
        }
        ensure!(Instant::now() < until, "{}: the log must have a line for each route", case.name);
        sleep(Duration::from_millis(5));
    }
}
