//! The table: every step of every route with everything that can go wrong there, one cell after the other, each with what
//! was seen, what was stored, and how it was made good.

use std::any::Any;
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;

use super::file::Line;
use super::route::{self, Case, Route};
use super::trouble::{Step, Trouble, kind_of};
use crate::harness::{Direct, LAST};

/// Wix gives up on a webhook after this time, in milliseconds.
const WIX_WAITS: u64 = 1_250;
/// After so many looks without an operation nothing more is to come: longer than Wix's answer takes here. A machine with
/// other work comes to a look later, and so waits longer.
const QUIET: u32 = 12;
const BETWEEN_LOOKS: Duration = Duration::from_millis(5);
/// A request's time with Wix, with KV's before and after it, in milliseconds by the Worker's own clock.
const AT_MOST: u64 = 19_000;

/// One cell of the table.
#[derive(Clone)]
pub struct Cell {
    pub route: &'static Route,
    pub step: Step,
    pub trouble: Trouble,
}

/// How many attempts a cell has, retries included, before it is believed not to be as it is written.
const ATTEMPTS: usize = 3;

/// Runs the cells, each stand taking the next one when it is done; `threads` of them at a time on one stand, where what
/// goes wrong does so for one instance alone.
///
/// Time is real here, and a machine without any makes KV slow by itself. So a cell that is not as it is written is retried;
/// but no more than one in twenty may be, and each that was is named on the standard error, whatever the test's output is.
pub fn run(name: &str, cells: Vec<Cell>, stands: &[Direct], threads: usize, written: &[String]) -> Vec<Line> {
    let retries = Retries { table: name, cells: cells.len(), told: Mutex::default() };
    let queue = Mutex::new(VecDeque::from(cells));
    let lines = Mutex::new(Vec::new());
    let run_once = |cell: &Cell, stand: &Direct, is_last: bool| {
        let ran = catch_unwind(AssertUnwindSafe(|| cell.run(stand, threads == 1)));
        let is_last = is_last || retries.are_used_up();
        match ran {
            Err(panic) if is_last => resume_unwind(panic),
            Ok(line) if is_last || written.is_empty() || written.contains(&line.text()) => Some(line),
            Ok(line) => {
                retries.note(line.text());
                None
            }
            Err(panic) => {
                let (what, words) = (cell.what(), words_of(panic.as_ref()));
                retries.note(if words.starts_with(&what) { words } else { format!("{what}: {words}") });
                None
            }
        }
    };
    std::thread::scope(|scope| {
        for stand in stands.iter().flat_map(|stand| std::iter::repeat_n(stand, threads)) {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                    let Some(cell) = next else { break };
                    let line = (1..=ATTEMPTS).find_map(|attempt| run_once(&cell, stand, attempt == ATTEMPTS));
                    lines.lock().unwrap_or_else(PoisonError::into_inner).extend(line);
                }
            });
        }
    });
    lines.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// The cells of a table that were retried. Told when it ends, also where it fails.
struct Retries<'a> {
    table: &'a str,
    cells: usize,
    told: Mutex<Vec<String>>,
}

impl Retries<'_> {
    fn at_most(&self) -> usize {
        self.cells / 20 + ATTEMPTS
    }

    fn told(&self) -> MutexGuard<'_, Vec<String>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn are_used_up(&self) -> bool {
        self.told().len() >= self.at_most()
    }

    fn note(&self, retry: String) {
        self.told().push(retry);
    }
}

impl Drop for Retries<'_> {
    fn drop(&mut self) {
        let told = self.told();
        let (count, at_most) = (told.len(), self.at_most());
        let lines: Vec<String> = told.iter().map(|retry| format!("\n  {retry}")).collect();
        let text =
            format!("{}: {count} retries for {} cells, at most {at_most}{}\n", self.table, self.cells, lines.concat());
        // Written to the handle itself: the tests' harness keeps back what the macros print, unless a test fails.
        let _ = std::io::stderr().write_all(text.as_bytes());
    }
}

/// What a test said when it failed, without all of the log line that it quotes.
fn words_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.and_then(|text| text.lines().next()).unwrap_or("it failed").chars().take(200).collect()
}

impl Cell {
    fn what(&self) -> String {
        format!("{} · {} · {}", self.route.name, self.step.name(), self.trouble.name)
    }

    /// With `alone`, nothing else happens on the stand meanwhile.
    fn run(&self, stand: &Direct, alone: bool) -> Line {
        let Self { route, step, trouble } = self;
        let what = self.what();
        if alone {
            stand.kv.clear_faults();
            stand.kv.delete_where(|_| true);
            route::begin(stand);
        }
        let logged = stand.log.length();
        let case = (route.prepare)(stand);
        if !route.name.starts_with("cron") {
            // What the request itself does not put down is not to be made good by what came before it.
            stand.kv.delete_where(|key| key.starts_with("v1:todo:") && key.contains(&case.id));
        }
        let before = stored(stand, &case.id, alone);
        trouble.strike(stand, &case.id, step);
        let (seen, is_good) = case.send(stand, route, &what);
        if alone {
            quiet(stand);
        }
        let change = if trouble.is_a_race { "?".to_owned() } else { diff(&before, &stored(stand, &case.id, alone)) };
        trouble.heal(stand, &case.id);

        // What was accepted is not sent again; what was not is, by Wix, a browser or the back end.
        let again = if is_good {
            String::new()
        } else {
            let (again, _) = case.send(stand, route, &what);
            if alone {
                quiet(stand);
            }
            again
        };
        if alone {
            // Others' rows are not to be settled while they are looked at.
            stand.cron(LAST).send().expect(200);
        }
        let end = end(stand, &case.id);
        assert_tells_nothing(stand, &case, &stand.log.since(logged), &what);
        let end = if trouble.is_a_race {
            assert!(record_of(&end) == record_of(route.end) || !route.lasts(), "{what}: ends as {end}");
            "?".to_owned()
        } else if end == route.end {
            String::new()
        } else {
            end
        };
        Line { route: route.name, fields: [step.name(), trouble.name.to_owned(), seen, change, again, end] }
    }
}

impl Case {
    /// Sends the request: what the caller sees, and whether it is as if nothing had failed. Whatever it is, it comes in
    /// time and tells nothing.
    fn send(&self, stand: &Direct, route: &Route, what: &str) -> (String, bool) {
        let Ok(answer) = self.ask.clone().try_send() else { return ("cut off".to_owned(), false) };
        let is_good = answer.status == route.good;
        let Some(request_id) = answer.header("x-request-id") else {
            return (answer.status.to_string(), is_good);
        };
        let line = stand.settled(&answer);
        let took = line["duration_ms"].as_u64().unwrap_or(u64::MAX);
        let at_most = if route.name.starts_with("webhook") { WIX_WAITS } else { AT_MOST };
        assert!(took < at_most, "{what}: took {took} ms: {line}");
        // What the proxy passes on is Wix's.
        let is_ours = line["outcome"].as_str().is_none_or(|outcome| !outcome.starts_with("passed_on"));
        if answer.status >= 400 && is_ours {
            assert!(answer.text().contains(request_id), "{what}: no request id: {answer:?}");
            for secret in route::secrets(stand).iter().chain(&self.secrets) {
                let text = answer.text();
                let mut told = answer.headers.iter().map(|(_, value)| value.as_str()).chain([text.as_str()]);
                assert!(!told.any(|text| text.contains(secret)), "{what}: a secret is told: {answer:?}");
            }
        }
        let retry = answer.header("retry-after").map(|wait| format!(", retry-after {wait}")).unwrap_or_default();
        let error = line["error"].as_str().filter(|_| !is_good).map(|error| format!(" {error}")).unwrap_or_default();
        (format!("{}{error}{retry}", answer.status), is_good)
    }
}

/// Neither the log nor the store has anything secret in it, and the runtime has nothing to complain of.
fn assert_tells_nothing(stand: &Direct, case: &Case, lines: &[String], what: &str) {
    let secrets = [route::secrets(stand), case.secrets.clone()].concat();
    let bad = ["ncaught", "xception", "panicked", "hung", "    at "].map(str::to_owned);
    for line in lines {
        let told = secrets.iter().chain(&bad).find(|word| line.contains(*word));
        assert_eq!(told, None, "{what}: in the log: {line}");
    }
    for entry in
        stand.kv.entries("").iter().filter(|entry| entry.key.contains(&case.id) || entry.key.contains(":flow:"))
    {
        let text = format!("{}{}{:?}", entry.key, String::from_utf8_lossy(&entry.value), entry.metadata);
        let told = secrets.iter().find(|word| text.contains(*word));
        assert_eq!(told, None, "{what}: stored under {}", entry.key);
    }
}

/// How the instance ends: seen by an isolate that remembers nothing.
fn end(stand: &Direct, id: &str) -> String {
    let record = stand.api(LAST, "GET", &format!("/v1/instances/{id}")).send();
    let mut end = if record.status == 200 {
        let record = record.json();
        let text = |name: &str| record[name].as_str().map(str::to_owned);
        let configured = record.get("configured_at").map(|_| "configured".to_owned());
        [text("status"), text("auth"), text("plan"), configured].into_iter().flatten().collect::<Vec<_>>().join(" ")
    } else {
        record.status.to_string()
    };
    let calls = stand.wix.calls(id).len();
    let token = stand.token(LAST, id);
    let calls_after = stand.wix.calls(id);
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

/// The record alone. A token may have been made on the way, and an event whose sending could not be noted sent once more.
fn record_of(end: &str) -> &str {
    end.split(',').next().unwrap_or_default()
}

/// What is stored, by key; where others are at work, of the instance, and nothing that their Cron Trigger crosses out.
fn stored(stand: &Direct, id: &str, alone: bool) -> BTreeMap<String, Vec<u8>> {
    let is_its_own = |key: &str| key.contains(id) && !key.starts_with("v1:todo:");
    let entries = stand.kv.entries("").into_iter().filter(|entry| alone || is_its_own(&entry.key));
    entries.map(|entry| (entry.key, entry.value)).collect()
}

/// The kinds of the records that came, changed, and went.
fn diff(before: &BTreeMap<String, Vec<u8>>, after: &BTreeMap<String, Vec<u8>>) -> String {
    let came = after.iter().filter(|(key, _)| !before.contains_key(*key)).map(|(key, _)| format!("+{}", kind_of(key)));
    let changed = after.iter().filter(|(key, value)| before.get(*key).is_some_and(|old| old != *value));
    let changed = changed.map(|(key, _)| format!("~{}", kind_of(key)));
    let went = before.keys().filter(|key| !after.contains_key(*key)).map(|key| format!("-{}", kind_of(key)));
    came.chain(changed).chain(went).collect::<Vec<_>>().join(" ")
}

/// Waits until nobody has asked anything of KV for a moment.
fn quiet(stand: &Direct) {
    let mut last = stand.kv.counts();
    let mut looks = 0;
    while looks < QUIET {
        std::thread::sleep(BETWEEN_LOOKS);
        let now = stand.kv.counts();
        looks = if now != last || stand.kv.in_flight() > 0 { 0 } else { looks + 1 };
        last = now;
    }
}
