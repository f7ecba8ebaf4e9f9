//! The output of a command: threads read it, pass it on line by line, and keep the last lines for messages.

use std::collections::VecDeque;
use std::fmt;
use std::io::{BufRead as _, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// The number of lines that the buffer holds, and that `find` searches.
const BUFFERED: usize = 400;
/// The number of lines that a message quotes.
const TAIL: usize = 40;

/// Standard output and standard error of one command, merged.
pub(crate) struct Output {
    state: Mutex<State>,
    changed: Condvar,
    on_line: Box<dyn Fn(&str) + Send + Sync>,
}

#[derive(Debug, Default)]
struct State {
    lines: VecDeque<String>,
    /// The number of lines dropped from the front of `lines`.
    dropped: usize,
    /// The number of streams that are still open.
    open: usize,
}

impl State {
    fn total(&self) -> usize {
        self.dropped + self.lines.len()
    }
}

impl Output {
    pub(crate) fn new(on_line: impl Fn(&str) + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), changed: Condvar::new(), on_line: Box::new(on_line) })
    }

    /// Reads `stream` to its end on a new thread.
    pub(crate) fn follow(self: &Arc<Self>, stream: impl Read + Send + 'static) {
        self.state().open += 1;
        let output = Arc::clone(self);
        thread::spawn(move || {
            let mut stream = BufReader::new(stream);
            let mut line = Vec::new();
            while stream.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
                output.push(String::from_utf8_lossy(&line).trim_end());
                line.clear();
            }
            output.state().open -= 1;
            output.changed.notify_all();
        });
    }

    fn push(&self, line: &str) {
        (self.on_line)(line);
        let mut state = self.state();
        state.lines.push_back(line.to_owned());
        if state.lines.len() > BUFFERED {
            state.lines.pop_front();
            state.dropped += 1;
        }
        drop(state);
        self.changed.notify_all();
    }

    /// The first wanted line at or after number `from`. Moves `from` past the lines that it searched.
    pub(crate) fn find(&self, from: &mut usize, wanted: impl Fn(&str) -> bool) -> Option<String> {
        let state = self.state();
        let skip = from.saturating_sub(state.dropped);
        *from = state.total();
        state.lines.iter().skip(skip).find(|line| wanted(line)).cloned()
    }

    /// Waits up to `limit` for a line after number `from`.
    pub(crate) fn wait_for_more(&self, from: usize, limit: Duration) {
        let state = self.state();
        if state.total() <= from && state.open > 0 {
            drop(self.changed.wait_timeout(state, limit));
        } else if state.open == 0 {
            drop(state);
            thread::sleep(limit);
        }
    }

    /// Waits until both streams are closed, at most ten times `limit`: a descendant may hold them open.
    pub(crate) fn wait_for_end(&self, limit: Duration) {
        for _ in 0..10 {
            let state = self.state();
            if state.open == 0 {
                return;
            }
            drop(self.changed.wait_timeout(state, limit));
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.state().open == 0
    }

    pub(crate) fn tail(&self) -> String {
        let state = self.state();
        let skip = state.lines.len().saturating_sub(TAIL);
        state.lines.iter().skip(skip).map(String::as_str).collect::<Vec<_>>().join("\n")
    }

    /// Ignores a poisoned lock: each change of the state is complete before the lock is released.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output").field("state", &self.state).finish_non_exhaustive()
    }
}
