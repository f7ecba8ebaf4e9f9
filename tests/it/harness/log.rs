//! What a Worker writes: every line kept, and waited for.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(10);

/// The lines so far, wrangler's own among them.
#[derive(Default)]
pub struct Log {
    lines: Mutex<Vec<String>>,
    came: Condvar,
}

impl Log {
    pub fn push(&self, line: &str) {
        self.lock().push(line.to_owned());
        self.came.notify_all();
    }

    /// Every line.
    pub fn lines(&self) -> Vec<String> {
        self.lock().clone()
    }

    /// The Worker's own lines, read as JSON.
    pub fn entries(&self) -> Vec<Value> {
        self.lock().iter().filter_map(|line| entry(line)).collect()
    }

    /// The first of the Worker's lines that is wanted; waits for it.
    pub fn wait_for(&self, what: &str, is_wanted: impl Fn(&Value) -> bool) -> Value {
        let find = |lines: &[String]| lines.iter().filter_map(|line| entry(line)).find(&is_wanted);
        let waited = self.came.wait_timeout_while(self.lock(), PATIENCE, |lines| find(lines).is_none());
        let (lines, _) = waited.unwrap_or_else(PoisonError::into_inner);
        find(&lines).unwrap_or_else(|| {
            let last = lines.len().saturating_sub(30);
            panic!("{what} did not come into the log; its last lines:\n{}", lines[last..].join("\n"))
        })
    }

    /// The line of one request, by the id in its answer.
    pub fn of_request(&self, request_id: &str) -> Value {
        self.wait_for(&format!("the line of request {request_id}"), |entry| {
            entry["request_id"] == request_id && entry.get("status").is_some()
        })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<String>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// wrangler puts warnings and errors between colours and a word of its own.
fn entry(line: &str) -> Option<Value> {
    let (start, end) = (line.find("{\"level\"")?, line.rfind('}')?);
    serde_json::from_str(line.get(start..=end)?).ok()
}
