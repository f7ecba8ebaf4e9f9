//! A child process with all its descendants, which ends when its holder does.
//!
//! `wrangler dev` starts workerd, and workerd outlives a killed wrangler: what has to be ended is the process *group*.
//! And the holder itself may be killed with `SIGKILL`, when no destructor runs: so a watcher inside the group waits for
//! the end of a pipe that only the holder keeps open, and ends the group when it comes.
//!
//! - [`Leash::spawn`] starts a command in a group of its own and hands every line of its output to a callback.
//! - [`Leash::wait_for_line`] waits, with a deadline, until it says that it is ready.
//! - [`Leash::end`], or dropping the leash, ends the group: `TERM`, and `KILL` after a few seconds.
//!
//! Unix only, blocking, no runtime.

mod error;
mod output;
mod port;

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{io, thread};

pub use error::Error;
use output::Output;
pub use port::{free_port, is_free};
use rustix::process::{Pid, Signal, kill_process_group};

/// How long the group has after `TERM`, before `KILL`. The watcher's script says the same.
const GRACE: Duration = Duration::from_secs(3);
/// How often a state that cannot be waited for is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Runs as the leader of the new group. It leaves a watcher behind and becomes the command.
///
/// The watcher is deaf to `TERM`, holds none of the command's output open, and sees the end of its input when the
/// holder closes the pipe or is no more. `$$` is the leader's id, and therefore the group's, also in a subshell.
/// (`kill -s TERM --`: Debian's `sh` refuses `kill -TERM --`.)
const SCRIPT: &str = r#"
exec 3<&0 </dev/null
(
    trap '' TERM
    read -r _ <&3
    kill -s TERM -- "-$$"
    sleep 3
    kill -s KILL -- "-$$"
) >/dev/null 2>&1 &
exec 3<&-
exec "$@"
"#;

/// A running command. It and everything it started end when this is dropped, or when this process ends.
#[derive(Debug)]
pub struct Leash {
    name: String,
    child: Child,
    group: Pid,
    output: Arc<Output>,
    ended: bool,
}

impl Leash {
    /// Starts `command` in a process group of its own, without input.
    ///
    /// `on_line` is called with each line of its output and its errors, as they come, from two threads.
    /// Of `command`, the program, arguments, folder and changes to the environment count; its redirections do not, and
    /// a cleared environment is not cleared. `name` is what messages call it.
    pub fn spawn(name: &str, command: &Command, on_line: impl Fn(&str) + Send + Sync + 'static) -> Result<Self, Error> {
        let mut shell = Command::new("sh");
        shell.args(["-c", SCRIPT, name]).arg(command.get_program()).args(command.get_args());
        for (key, value) in command.get_envs() {
            match value {
                Some(value) => shell.env(key, value),
                None => shell.env_remove(key),
            };
        }
        if let Some(folder) = command.get_current_dir() {
            shell.current_dir(folder);
        }
        shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);

        let mut child = shell.spawn().map_err(|source| Error::Spawn { name: name.to_owned(), source })?;
        let output = Output::new(on_line);
        if let Some(stdout) = child.stdout.take() {
            output.follow(stdout);
        }
        if let Some(stderr) = child.stderr.take() {
            output.follow(stderr);
        }
        let group = Pid::from_child(&child);
        Ok(Self { name: name.to_owned(), child, group, output, ended: false })
    }

    /// Waits until a line for which `wanted` is true has been written, and gives that line.
    ///
    /// Lines written before the call count, as far as they are still kept. Fails with the last lines of output when the
    /// command ends first or when `deadline` has passed.
    pub fn wait_for_line(&mut self, deadline: Duration, wanted: impl Fn(&str) -> bool) -> Result<String, Error> {
        let until = Instant::now() + deadline;
        let mut from = 0;
        loop {
            // Asked before the lines are read: what was written before the end is then seen.
            let status = self.exit_status()?;
            if status.is_some() {
                self.output.wait_for_the_end(LOOK_AGAIN);
            }
            if let Some(line) = self.output.find(&mut from, &wanted) {
                return Ok(line);
            }
            if let Some(status) = status {
                return Err(Error::Exited { name: self.name.clone(), status, tail: self.tail() });
            }
            if Instant::now() >= until {
                return Err(Error::Deadline { name: self.name.clone(), waited: deadline, tail: self.tail() });
            }
            self.output.wait_for_more(from, LOOK_AGAIN);
        }
    }

    /// How the command ended, or nothing while it runs.
    pub fn exit_status(&mut self) -> Result<Option<ExitStatus>, Error> {
        self.child.try_wait().map_err(|source| Error::Wait { name: self.name.clone(), source })
    }

    /// Fails with the last lines of output if the command has ended.
    pub fn check_running(&mut self) -> Result<(), Error> {
        match self.exit_status()? {
            None => Ok(()),
            Some(status) => {
                self.output.wait_for_the_end(LOOK_AGAIN);
                Err(Error::Exited { name: self.name.clone(), status, tail: self.tail() })
            }
        }
    }

    /// The last lines of output and errors, at most 40, in the order in which they came.
    #[must_use]
    pub fn tail(&self) -> String {
        self.output.tail()
    }

    /// The name given at the start.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The ids of those of its processes whose names begin so, on Linux; none where there is no `/proc`.
    #[must_use]
    pub fn processes(&self, name: &str) -> Vec<u32> {
        let of_group = |entry: fs::DirEntry| {
            let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
            // `pid (name) state parent group …`
            let (pid, rest) = stat.split_once(" (")?;
            let (known, rest) = rest.rsplit_once(')')?;
            let group: u32 = rest.split_whitespace().nth(2)?.parse().ok()?;
            (known.starts_with(name) && group == self.id()).then_some(pid.parse().ok()?)
        };
        fs::read_dir("/proc").into_iter().flatten().flatten().filter_map(of_group).collect()
    }

    /// The command's process id, which is also its group's.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends the command and everything it started: `TERM`, and `KILL` for what is left after three seconds.
    /// Returns when they are gone. Dropping does the same.
    pub fn end(mut self) {
        self.end_group();
    }

    fn end_group(&mut self) {
        if self.ended {
            return;
        }
        self.ended = true;
        // An empty group cannot be told from one that may not be signalled; either way there is nothing more to do.
        let _ = kill_process_group(self.group, Signal::TERM);
        let until = Instant::now() + GRACE;
        while Instant::now() < until && !self.is_gone() {
            thread::sleep(LOOK_AGAIN);
        }
        // The watcher is still in the group, so the group's number cannot have been given to another one.
        let _ = kill_process_group(self.group, Signal::KILL);
        let _: io::Result<ExitStatus> = self.child.wait();
    }

    /// The leader has ended, and nobody is left who could write to its output.
    fn is_gone(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_))) && self.output.is_at_its_end()
    }
}

impl Drop for Leash {
    fn drop(&mut self) {
        self.end_group();
    }
}
