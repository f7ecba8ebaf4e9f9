//! Work beside other work. What a lane prints is kept and printed whole when the lane is joined, so that the output of
//! two programs is never mixed.

use std::cell::RefCell;
use std::io::{self, Write as _};
use std::process::{Command, ExitStatus};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};
use leash::Leash;

/// How often a lane checks whether its program has ended and whether it must stop.
const POLL: Duration = Duration::from_millis(20);

thread_local! {
    /// The lane of this thread; the main thread has none and prints at once.
    static CURRENT: RefCell<Option<Arc<State>>> = const { RefCell::new(None) };
}

#[derive(Debug, Default)]
struct State {
    output: Mutex<String>,
    stopped: AtomicBool,
}

impl State {
    fn keep(&self, line: &str) {
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        output.push_str(line);
        output.push('\n');
    }
}

/// A running lane. Dropping it ends the program that it runs.
#[derive(Debug)]
pub struct Lane<'scope> {
    thread: Option<ScopedJoinHandle<'scope, (Result<()>, Duration)>>,
    state: Arc<State>,
}

impl<'scope> Lane<'scope> {
    /// Begins `work` on a thread of its own.
    pub fn start(scope: &'scope Scope<'scope, '_>, work: impl FnOnce() -> Result<()> + Send + 'scope) -> Self {
        let state = Arc::<State>::default();
        let of_thread = Arc::clone(&state);
        let thread = scope.spawn(move || {
            CURRENT.set(Some(of_thread));
            let start = Instant::now();
            (work(), start.elapsed())
        });
        Self { thread: Some(thread), state }
    }

    /// Waits for the end, prints the output, and returns the result and how long the work took.
    pub fn join(mut self) -> (Result<()>, Duration) {
        let ended = self.thread.take().map(ScopedJoinHandle::join);
        let output = std::mem::take(&mut *self.state.output.lock().unwrap_or_else(PoisonError::into_inner));
        print(output.trim_end());
        match ended {
            Some(Ok(result)) => result,
            Some(Err(_)) | None => (Err(anyhow!("xtask panicked")), Duration::ZERO),
        }
    }
}

impl Drop for Lane<'_> {
    fn drop(&mut self) {
        self.state.stopped.store(true, Ordering::Relaxed);
    }
}

/// Prints a line, or keeps it for the lane's end.
pub fn say(line: &str) {
    match CURRENT.with_borrow(Clone::clone) {
        Some(state) => state.keep(line),
        None => print(line),
    }
}

/// Also where the terminal was closed: that is no reason to stop with processes still running.
fn print(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}

/// Runs a program to its end, with its output where [`say`] writes.
pub fn status(command: &mut Command) -> Result<ExitStatus> {
    let Some(state) = CURRENT.with_borrow(Clone::clone) else { return Ok(command.status()?) };
    let lines = Arc::clone(&state);
    let name = command.get_program().to_string_lossy().into_owned();
    let mut program = Leash::spawn(&name, command, move |line| lines.keep(line))?;
    loop {
        if state.stopped.load(Ordering::Relaxed) {
            bail!("stopped, because another step failed");
        }
        if let Some(status) = program.exit_status()? {
            // Returns when the last line has been read.
            program.end();
            return Ok(status);
        }
        thread::sleep(POLL);
    }
}

#[cfg(test)]
mod tests {
    use super::{Lane, POLL, say};
    use crate::process;
    use std::process::Command;
    use std::thread;
    use std::time::{Duration, Instant};

    #[test]
    fn a_lane_keeps_what_it_says_and_what_its_programs_print() {
        thread::scope(|scope| {
            let lane = Lane::start(scope, || {
                say("first");
                process::run(Command::new("sh").args(["-c", "echo second; sleep 0.1; echo third >&2; exit 3"]))
            });
            while lane.thread.as_ref().is_some_and(|thread| !thread.is_finished()) {
                thread::sleep(POLL);
            }
            assert_eq!(*lane.state.output.lock().expect("no panic"), "first\nsecond\nthird\n");
            let error = lane.join().0.expect_err("the program failed").to_string();
            assert!(error.contains("exit status: 3"), "{error}");
        });
    }

    #[test]
    fn a_lane_that_is_dropped_ends_its_program() {
        let start = Instant::now();
        thread::scope(|scope| drop(Lane::start(scope, || process::run(Command::new("sleep").arg("60")))));
        assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
    }
}
