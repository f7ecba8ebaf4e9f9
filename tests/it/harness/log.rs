//! What a Worker writes: every line kept, and waited for.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;

/// Longer than work after an answer ever takes.
const PATIENCE: Duration = Duration::from_mins(1);

/// The lines so far, wrangler's own among them.
#[derive(Default)]
pub struct Log {
    seen: Mutex<Seen>,
    came: Condvar,
}

#[derive(Default)]
struct Seen {
    lines: Vec<String>,
    /// Those of the Worker's own.
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

    /// Every line.
    pub fn lines(&self) -> Vec<String> {
        self.lock().lines.clone()
    }

    /// How many lines there are.
    pub fn length(&self) -> usize {
        self.lock().lines.len()
    }

    /// The lines after so many.
    pub fn since(&self, length: usize) -> Vec<String> {
        self.lock().lines[length..].to_vec()
    }

    /// The Worker's own lines, read as JSON.
    pub fn entries(&self) -> Vec<Value> {
        self.lock().entries.clone()
    }

    /// The first of the Worker's lines that is wanted; waits for it.
    pub fn wait_for(&self, what: &str, is_wanted: impl Fn(&Value) -> bool) -> Value {
        let find = |seen: &Seen| seen.entries.iter().find(|entry| is_wanted(entry)).cloned();
        let waited = self.came.wait_timeout_while(self.lock(), PATIENCE, |seen| find(seen).is_none());
        let (seen, _) = waited.unwrap_or_else(PoisonError::into_inner);
        find(&seen).unwrap_or_else(|| {
            let last = seen.lines.len().saturating_sub(30);
            panic!("{what} did not come into the log; its last lines:\n{}", seen.lines[last..].join("\n"))
        })
    }

    /// Waits for a line with these words, whoever wrote it.
    pub fn wait_for_line(&self, words: &str) {
        let is_there = |seen: &Seen| seen.lines.iter().any(|line| line.contains(words));
        let waited = self.came.wait_timeout_while(self.lock(), PATIENCE, |seen| !is_there(seen));
        let (seen, _) = waited.unwrap_or_else(PoisonError::into_inner);
        assert!(is_there(&seen), "{words:?} did not come into the log:\n{}", seen.lines.join("\n"));
    }

    /// The same where it need not come, for as long as this.
    pub fn wait_up_to(&self, time: Duration, is_wanted: impl Fn(&Value) -> bool) {
        let _ = self.came.wait_timeout_while(self.lock(), time, |seen| !seen.entries.iter().any(&is_wanted));
    }

    /// The line of one request, by the id in its answer.
    pub fn of_request(&self, request_id: &str) -> Value {
        self.wait_for(&format!("the line of request {request_id}"), |entry| {
            entry["request_id"] == request_id && entry.get("status").is_some()
        })
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// wrangler puts warnings and errors between colours and a word of its own.
fn entry(line: &str) -> Option<Value> {
    let (start, end) = (line.find("{\"level\"")?, line.rfind('}')?);
    serde_json::from_str(line.get(start..=end)?).ok()
}
