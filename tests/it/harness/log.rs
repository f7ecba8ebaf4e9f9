//! The log of a Worker, with functions that wait for a line.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;

/// Longer than any deferred task takes.
const TIMEOUT: Duration = Duration::from_mins(1);

/// All lines of output, which include wrangler's.
#[derive(Default)]
pub struct Log {
    seen: Mutex<Seen>,
    came: Condvar,
}

#[derive(Default)]
struct Seen {
    lines: Vec<String>,
    /// The Worker's lines, parsed.
    entries: Vec<Value>,
}

impl Log {
    pub fn push(&self, line: &str) {
        let mut seen = self.lock();
        seen.entries.extend(entry(line));
        seen.lines.push(line.to_owned());
        drop(seen);
        self.came.notify_all();
    }

    /// All lines.
    pub fn lines(&self) -> Vec<String> {
        self.lock().lines.clone()
    }

    /// The number of lines.
    pub fn length(&self) -> usize {
        self.lock().lines.len()
    }

    /// The lines after the first `length`.
    pub fn since(&self, length: usize) -> Vec<String> {
        self.lock().lines[length..].to_vec()
    }

    /// The Worker's lines, parsed as JSON.
    pub fn entries(&self) -> Vec<Value> {
        self.lock().entries.clone()
    }

    /// Waits for an entry that is wanted, and returns the first one.
    pub fn wait_for(&self, what: &str, is_wanted: impl Fn(&Value) -> bool) -> Value {
        let find = |seen: &Seen| seen.entries.iter().find(|entry| is_wanted(entry)).cloned();
        let waited = self.came.wait_timeout_while(self.lock(), TIMEOUT, |seen| find(seen).is_none());
        let (seen, _) = waited.unwrap_or_else(PoisonError::into_inner);
        find(&seen).unwrap_or_else(|| {
            let last = seen.lines.len().saturating_sub(30);
            panic!("{what} is missing in the log; its last lines:\n{}", seen.lines[last..].join("\n"))
        })
    }

    /// Waits for a line with these words, by the Worker or by wrangler.
    pub fn wait_for_line(&self, words: &str) {
        let is_there = |seen: &Seen| seen.lines.iter().any(|line| line.contains(words));
        let waited = self.came.wait_timeout_while(self.lock(), TIMEOUT, |seen| !is_there(seen));
        let (seen, _) = waited.unwrap_or_else(PoisonError::into_inner);
        assert!(is_there(&seen), "{words:?} is missing in the log:\n{}", seen.lines.join("\n"));
    }

    /// Waits up to `time` for an entry, which may be missing.
    pub fn wait_up_to(&self, time: Duration, is_wanted: impl Fn(&Value) -> bool) {
        let _ = self.came.wait_timeout_while(self.lock(), time, |seen| !seen.entries.iter().any(&is_wanted));
    }

    /// Waits for the entry of a request, by the request id in its response.
    pub fn of_request(&self, request_id: &str) -> Value {
        self.wait_for(&format!("the line of request {request_id}"), |entry| {
            entry["request_id"] == request_id && entry.get("status").is_some()
        })
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Parses an entry. wrangler wraps warnings and errors in colour codes and a prefix.
fn entry(line: &str) -> Option<Value> {
    let (start, end) = (line.find("{\"level\"")?, line.rfind('}')?);
    serde_json::from_str(line.get(start..=end)?).ok()
}
