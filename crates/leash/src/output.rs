//! What a command writes: read by threads, handed on line by line, and its end kept for messages.

use std::collections::VecDeque;
use std::fmt;
use std::io::{BufRead as _, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// How many lines are kept, in which a line may be looked for.
const KEPT: usize = 400;
/// How many of them go into a message.
const TAIL: usize = 40;

/// The output and the errors of one command, merged.
pub(crate) struct Output {
    state: Mutex<State>,
    changed: Condvar,
    on_line: Box<dyn Fn(&str) + Send + Sync>,
}

#[derive(Debug, Default)]
struct State {
    lines: VecDeque<String>,
    /// How many lines came before the first one kept.
    forgotten: usize,
    /// How many streams are still open.
    open: usize,
}

impl State {
    fn seen(&self) -> usize {
        self.forgotten + self.lines.len()
    }
}

impl Output {
    pub(crate) fn new(on_line: impl Fn(&str) + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), changed: Condvar::new(), on_line: Box::new(on_line) })
    }

    /// Reads `stream` to its end on a thread of its own.
    pub(crate) fn follow(self: &Arc<Self>, stream: impl Read + Send + 'static) {
        self.state().open += 1;
        let output = Arc::clone(self);
        thread::spawn(move || {
            let mut stream = BufReader::new(stream);
            let mut line = Vec::new();
            while stream.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
                output.take(String::from_utf8_lossy(&line).trim_end());
                line.clear();
            }
            output.state().open -= 1;
            output.changed.notify_all();
        });
    }

    fn take(&self, line: &str) {
        (self.on_line)(line);
        let mut state = self.state();
        state.lines.push_back(line.to_owned());
        if state.lines.len() > KEPT {
            state.lines.pop_front();
            state.forgotten += 1;
        }
        drop(state);
        self.changed.notify_all();
    }

    /// The first wanted line at or after number `from`, which is moved past what was looked at.
    pub(crate) fn find(&self, from: &mut usize, wanted: impl Fn(&str) -> bool) -> Option<String> {
        let state = self.state();
        let skip = from.saturating_sub(state.forgotten);
        *from = state.seen();
        state.lines.iter().skip(skip).find(|line| wanted(line)).cloned()
    }

    /// Waits for a line after number `from`, at most for `limit`.
    pub(crate) fn wait_for_more(&self, from: usize, limit: Duration) {
        let state = self.state();
        if state.seen() <= from && state.open > 0 {
            drop(self.changed.wait_timeout(state, limit));
        } else if state.open == 0 {
            drop(state);
            thread::sleep(limit);
        }
    }

    /// Waits for all that the ended command wrote. A descendant may hold the output open: then it is not waited for.
    pub(crate) fn wait_for_the_end(&self, limit: Duration) {
        for _ in 0..10 {
            let state = self.state();
            if state.open == 0 {
                return;
            }
            drop(self.changed.wait_timeout(state, limit));
        }
    }

    pub(crate) fn is_at_its_end(&self) -> bool {
        self.state().open == 0
    }

    pub(crate) fn tail(&self) -> String {
        let state = self.state();
        let skip = state.lines.len().saturating_sub(TAIL);
        state.lines.iter().skip(skip).map(String::as_str).collect::<Vec<_>>().join("\n")
    }

    /// The lines stay whole whatever a callback does, so a poisoned lock is as good as any.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output").field("state", &self.state).finish_non_exhaustive()
    }
}
