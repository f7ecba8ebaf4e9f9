//! Runs the cells of a table: each combination of route, step and failure.

use std::any::Any;
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;

use super::file::Line;
use super::object;
use super::route::{self, Case, Route};
use super::trouble::{Failure, Step, kind_of};
use crate::harness::{IN_2_HOURS, Testbed};

/// Wix gives up on a webhook after this time, in milliseconds.
const WEBHOOK_TIMEOUT: u64 = 1_250;
/// The number of polls without a KV operation after which the test bed counts as idle. They take longer than a response of
/// the simulator. On a loaded machine each poll takes longer too.
const IDLE_POLLS: u32 = 12;
const POLL_INTERVAL: Duration = Duration::from_millis(5);
/// The time limit of a request, with its calls to Wix and its KV operations, in milliseconds by the Worker's own figure.
const REQUEST_TIMEOUT: u64 = 19_000;

/// One cell of the table.
#[derive(Clone)]
pub struct Cell {
    pub route: &'static Route,
    pub step: Step,
    pub failure: Failure,
}

/// The number of attempts of a cell before a difference from the file counts.
const ATTEMPTS: usize = 3;

/// Runs the cells from a queue, with `threads` cells at a time on each test bed. More than one thread is possible only if
/// each fault applies to one instance.
///
/// The tests run in real time, so a loaded machine can make KV slow without a fault. So a cell that differs from the file
/// is retried. At most one cell in twenty may be retried, and standard error names each of them.
pub fn run(name: &str, cells: Vec<Cell>, beds: &[Testbed], threads: usize, written: &[String]) -> Vec<Line> {
    let retries = Retries { table: name, cells: cells.len(), retried: Mutex::default() };
    let queue = Mutex::new(VecDeque::from(cells));
    let lines = Mutex::new(Vec::new());
    let run_once = |cell: &Cell, bed: &Testbed, is_last: bool| {
        let ran = catch_unwind(AssertUnwindSafe(|| cell.run(bed, threads == 1)));
        let is_last = is_last || retries.are_exhausted();
        match ran {
            Err(panic) if is_last => resume_unwind(panic),
            Ok(line) if is_last || written.is_empty() || written.contains(&line.text()) => Some(line),
            Ok(line) => {
                retries.note(line.text());
                None
            }
            Err(panic) => {
                let (what, words) = (cell.what(), message_of(panic.as_ref()));
                retries.note(if words.starts_with(&what) { words } else { format!("{what}: {words}") });
                None
            }
        }
    };
    std::thread::scope(|scope| {
        for bed in beds.iter().flat_map(|bed| std::iter::repeat_n(bed, threads)) {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                    let Some(cell) = next else { break };
                    let line = (1..=ATTEMPTS).find_map(|attempt| run_once(&cell, bed, attempt == ATTEMPTS));
                    lines.lock().unwrap_or_else(PoisonError::into_inner).extend(line);
                }
            });
        }
    });
    lines.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// The retried cells of a table. They are printed when the table ends, even if it fails.
struct Retries<'a> {
    table: &'a str,
    cells: usize,
    retried: Mutex<Vec<String>>,
}

impl Retries<'_> {
    fn at_most(&self) -> usize {
        self.cells / 20 + ATTEMPTS
    }

    fn retried(&self) -> MutexGuard<'_, Vec<String>> {
        self.retried.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn are_exhausted(&self) -> bool {
        self.retried().len() >= self.at_most()
    }

    fn note(&self, retry: String) {
        self.retried().push(retry);
    }
}

impl Drop for Retries<'_> {
    fn drop(&mut self) {
        let retried = self.retried();
        let (count, at_most) = (retried.len(), self.at_most());
        let lines: Vec<String> = retried.iter().map(|retry| format!("\n  {retry}")).collect();
        let text =
            format!("{}: {count} retries for {} cells, at most {at_most}{}\n", self.table, self.cells, lines.concat());
        // Writes to the handle: the test harness captures the output of the print macros, unless a test fails.
        let _ = std::io::stderr().write_all(text.as_bytes());
    }
}

/// The first line of a panic's message, shortened.
fn message_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.and_then(|text| text.lines().next()).unwrap_or("failed").chars().take(200).collect()
}

impl Cell {
    fn what(&self) -> String {
        format!("{} · {} · {}", self.route.name, self.step.name(), self.failure.name)
    }

    /// If `is_exclusive`, no other cell runs on the test bed at the same time.
    fn run(&self, bed: &Testbed, is_exclusive: bool) -> Line {
        let Self { route, step, failure } = self;
        let what = self.what();
        if is_exclusive {
            bed.kv.clear_faults();
            bed.kv.delete_where(|_| true);
            route::begin(bed);
        }
        let logged = bed.log.length();
        let case = (route.prepare)(bed);
        object::told(bed, &case.id);
        if !route.name.starts_with("cron") {
            // Deletes the rechecks of the preparation, so that only those of the request itself can repair anything.
            bed.kv.delete_where(|key| key.starts_with("v1:todo:") && key.contains(&case.id));
        }
        let before = stored(bed, &case.id, is_exclusive);
        failure.inject(bed, &case.id, step);
        let (seen, is_good) = case.send(bed, route, &what);
        if is_exclusive {
            wait_until_idle(bed);
        }
        let change = if failure.is_race { "?".to_owned() } else { diff(&before, &stored(bed, &case.id, is_exclusive)) };
        failure.remove(bed, &case.id, step);

        // Wix, the browser or the back end repeats a request that failed, and only such a request.
        let again = if is_good {
            String::new()
        } else {
            let (again, _) = case.send(bed, route, &what);
            if is_exclusive {
                wait_until_idle(bed);
            }
            again
        };
        if is_exclusive {
            // Not on a shared test bed: the Cron Trigger would reconcile the rows of other cells.
            bed.cron(IN_2_HOURS).send().expect(200);
        }
        let end = end(bed, &case.id) + &object::told(bed, &case.id);
        assert_no_leak(bed, &case, &bed.log.since(logged), &what);
        let end = if failure.is_race {
            assert!(record_of(&end) == record_of(route.end) || !route.lasts(), "{what}: ends as {end}");
            "?".to_owned()
        } else if end == route.end {
            String::new()
        } else {
            end
        };
        Line { route: route.name, fields: [step.name(), failure.name.to_owned(), seen, change, again, end] }
    }
}

impl Case {
    /// Sends the request. Returns the text of the response for the table, and whether its status is that without faults.
    /// Asserts that the response comes in time and contains no secret.
    fn send(&self, bed: &Testbed, route: &Route, what: &str) -> (String, bool) {
        let Ok(response) = self.request.clone().try_send() else { return ("cut off".to_owned(), false) };
        let is_good = response.status == route.good && !response.is_failed_flow();
        let Some(request_id) = response.header("x-request-id") else {
            return (response.status.to_string(), is_good);
        };
        let line = bed.wait_for_tasks(&response);
        let took = line["duration_ms"].as_u64().unwrap_or(u64::MAX);
        let at_most = if route.name.starts_with("webhook") { WEBHOOK_TIMEOUT } else { REQUEST_TIMEOUT };
        assert!(took < at_most, "{what}: took {took} ms: {line}");
        // A forwarded response is Wix's own.
        let is_own = line["outcome"].as_str().is_none_or(|outcome| !outcome.starts_with("passed_on"));
        if response.status >= 400 && is_own {
            assert!(response.text().contains(request_id), "{what}: no request id: {response:?}");
            for secret in route::secrets(bed).iter().chain(&self.secrets) {
                let text = response.text();
                let mut leaked = response.headers.iter().map(|(_, value)| value.as_str()).chain([text.as_str()]);
                assert!(!leaked.any(|text| text.contains(secret)), "{what}: a secret in the response: {response:?}");
            }
        }
        let retry = response.header("retry-after").map(|wait| format!(", retry-after {wait}")).unwrap_or_default();
        let error = line["error"].as_str().filter(|_| !is_good).map(|error| format!(" {error}")).unwrap_or_default();
        (format!("{}{error}{retry}", response.status), is_good)
    }
}

/// Asserts that neither log nor store contains a secret, and that the runtime reports no error.
fn assert_no_leak(bed: &Testbed, case: &Case, lines: &[String], what: &str) {
    let secrets = [route::secrets(bed), case.secrets.clone()].concat();
    let bad = ["ncaught", "xception", "panicked", "hung", "    at "].map(str::to_owned);
    // The runtime reports an error that the test throws in an object.
    let is_scripted = |line: &&String| line.contains("scripted:") || line.contains("entry.mjs");
    for line in lines {
        let bad = bad.iter().filter(|_| !is_scripted(&line));
        let leaked = secrets.iter().chain(bad).find(|word| line.contains(*word));
        assert_eq!(leaked, None, "{what}: in the log: {line}");
    }
    for entry in bed.kv.entries("").iter().filter(|entry| entry.key.contains(&case.id) || entry.key.contains(":flow:"))
    {
        let text = format!("{}{}{:?}", entry.key, String::from_utf8_lossy(&entry.value), entry.metadata);
        let leaked = secrets.iter().find(|word| text.contains(*word));
        assert_eq!(leaked, None, "{what}: stored under {}", entry.key);
    }
}

/// The final state of the instance, read by an isolate with empty memory.
fn end(bed: &Testbed, id: &str) -> String {
    let record = bed.api(IN_2_HOURS, "GET", &format!("/v1/instances/{id}")).send();
    let mut end = if record.status == 200 {
        let record = record.json();
        let text = |name: &str| record[name].as_str().map(str::to_owned);
        let configured = record.get("configured_at").map(|_| "configured".to_owned());
        let reference = record.get("ref").map(|_| "ref".to_owned());
        [text("status"), text("auth"), text("plan"), reference, configured]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(" ")
    } else {
        record.status.to_string()
    };
    let calls = bed.wix.calls(id).len();
    let token = bed.token(IN_2_HOURS, id);
    let calls_after = bed.wix.calls(id);
    let grant =
        calls_after[calls..].iter().filter(|call| call["status"] == 200).find_map(|call| call["grant_type"].as_str());
    let _ = match (token.status, grant) {
        (200, Some(grant)) => write!(end, ", {grant}"),
        (200, None) => write!(end, ", kept"),
        (status, _) => write!(end, ", {status}"),
    };
    let is_event = |call: &&Value| call["endpoint"] == "bi_event" && call["status"] == 200;
    match calls_after.iter().filter(is_event).count() {
        0 => {}
        1 => end.push_str(", 1 event"),
        count => {
            let _ = write!(end, ", {count} events");
        }
    }
    end
}

/// The instance part of a final state. The rest can vary: an extra token, or an event that was sent twice because its fact
/// was not stored.
fn record_of(end: &str) -> &str {
    end.split(',').next().unwrap_or_default()
}

/// The stored entries by key. On a shared test bed, only those of the instance, without rechecks, which the Cron Trigger of
/// other cells deletes.
fn stored(bed: &Testbed, id: &str, is_exclusive: bool) -> BTreeMap<String, Vec<u8>> {
    let is_its_own = |key: &str| key.contains(id) && !key.starts_with("v1:todo:");
    let entries = bed.kv.entries("").into_iter().filter(|entry| is_exclusive || is_its_own(&entry.key));
    entries.map(|entry| (entry.key, entry.value)).collect()
}

/// The kinds of added, changed and removed entries.
fn diff(before: &BTreeMap<String, Vec<u8>>, after: &BTreeMap<String, Vec<u8>>) -> String {
    let came = after.iter().filter(|(key, _)| !before.contains_key(*key)).map(|(key, _)| format!("+{}", kind_of(key)));
    let changed = after.iter().filter(|(key, value)| before.get(*key).is_some_and(|old| old != *value));
    let changed = changed.map(|(key, _)| format!("~{}", kind_of(key)));
    let went = before.keys().filter(|key| !after.contains_key(*key)).map(|key| format!("-{}", kind_of(key)));
    came.chain(changed).chain(went).collect::<Vec<_>>().join(" ")
}

/// Waits until KV is idle.
fn wait_until_idle(bed: &Testbed) {
    let mut last = bed.kv.counts();
    let mut idle_polls = 0;
    while idle_polls < IDLE_POLLS {
        std::thread::sleep(POLL_INTERVAL);
        let now = bed.kv.counts();
        idle_polls = if now != last || bed.kv.in_flight() > 0 { 0 } else { idle_polls + 1 };
        last = now;
    }
}
