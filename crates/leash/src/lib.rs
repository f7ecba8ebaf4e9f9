//! A child process in a process group of its own. The group ends when the parent process ends.
//!
//! `wrangler dev` starts workerd, and workerd survives when wrangler is killed. So the leash signals the whole process
//! *group*. A parent that is killed with `SIGKILL` runs no destructor. So a watcher process inside the group reads from
//! a pipe that only the parent holds open, and ends the group at end of file.
//!
//! - [`Leash::spawn`] starts a command in its own group and passes each line of its output to a callback.
//! - [`Leash::wait_for_line`] waits, with a deadline, for a line such as "ready".
//! - [`Leash::end`], or dropping the leash, sends `TERM` to the group, and `KILL` after three seconds. [`Leash::kill`] sends
//!   `KILL` at once.
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

/// The time between `TERM` and `KILL`. [`SCRIPT`] has the same value.
const GRACE: Duration = Duration::from_secs(3);
/// The pause between polls of a state that offers no notification.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Runs as the leader of the new group: starts the watcher in the background, then `exec`s the command.
///
/// The watcher ignores `TERM`, does not hold the command's output open, and reads end of file when the parent closes
/// the pipe or exits. `$$` is the leader's process id, and so the group's id, in a subshell too.
/// Debian's `sh` rejects `kill -TERM --`, hence `kill -s TERM --`.
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

/// A running command. Its process group ends when this value is dropped, or when this process ends.
#[derive(Debug)]
pub struct Leash {
    name: String,
    child: Child,
    group: Pid,
    output: Arc<Output>,
    ended: bool,
}

impl Leash {
    /// Starts `command` in its own process group, with empty standard input.
    ///
    /// Two threads call `on_line` with each line of standard output and standard error. `spawn` uses the program,
    /// arguments, directory and environment changes of `command`, and ignores its redirections and `env_clear`.
    /// `name` is the command's name in messages.
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

    /// Waits for a line for which `wanted` is true, and returns that line.
    ///
    /// Lines from before the call count too, as far as the buffer still has them. Fails with the last lines of output
    /// when the command exits first or `deadline` passes.
    pub fn wait_for_line(&mut self, deadline: Duration, wanted: impl Fn(&str) -> bool) -> Result<String, Error> {
        let until = Instant::now() + deadline;
        let mut from = 0;
        loop {
            // The status comes first, so that the search below covers every line written before the exit.
            let status = self.exit_status()?;
            if status.is_some() {
                self.output.wait_for_end(POLL_INTERVAL);
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
            self.output.wait_for_more(from, POLL_INTERVAL);
        }
    }

    /// The command's exit status; `None` while it runs.
    pub fn exit_status(&mut self) -> Result<Option<ExitStatus>, Error> {
        self.child.try_wait().map_err(|source| Error::Wait { name: self.name.clone(), source })
    }

    /// Fails with the last lines of output if the command has ended.
    pub fn check_running(&mut self) -> Result<(), Error> {
        match self.exit_status()? {
            None => Ok(()),
            Some(status) => {
                self.output.wait_for_end(POLL_INTERVAL);
                Err(Error::Exited { name: self.name.clone(), status, tail: self.tail() })
            }
        }
    }

    /// The last 40 lines of standard output and standard error, in the order of arrival.
    #[must_use]
    pub fn tail(&self) -> String {
        self.output.tail()
    }

    /// The command's name in messages.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The ids of the group's processes whose names begin with `prefix`. Empty on a system without `/proc`.
    #[must_use]
    pub fn processes(&self, prefix: &str) -> Vec<u32> {
        let matching_pid = |entry: fs::DirEntry| {
            let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
            // `pid (name) state parent group …`
            let (pid, rest) = stat.split_once(" (")?;
            let (name, rest) = rest.rsplit_once(')')?;
            let group: u32 = rest.split_whitespace().nth(2)?.parse().ok()?;
            (name.starts_with(prefix) && group == self.id()).then_some(pid.parse().ok()?)
        };
        fs::read_dir("/proc").into_iter().flatten().flatten().filter_map(matching_pid).collect()
    }

    /// The command's process id, which is also the group's id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends the process group: sends `TERM`, and `KILL` to the rest after three seconds. Returns when the group has
    /// ended. Dropping the leash does the same.
    pub fn end(mut self) {
        self.end_group();
    }

    /// Kills the process group, as the system does that runs out of memory: no process can prepare for its end.
    pub fn kill(mut self) {
        self.ended = true;
        let _ = kill_process_group(self.group, Signal::KILL);
        let _: io::Result<ExitStatus> = self.child.wait();
    }

    fn end_group(&mut self) {
        if self.ended {
            return;
        }
        self.ended = true;
        // The error does not distinguish an empty group from a missing permission. Neither leaves anything to do.
        let _ = kill_process_group(self.group, Signal::TERM);
        let until = Instant::now() + GRACE;
        while Instant::now() < until && !self.has_ended() {
            thread::sleep(POLL_INTERVAL);
        }
        // The watcher is still in the group, so the system cannot have reused the group's id.
        let _ = kill_process_group(self.group, Signal::KILL);
        let _: io::Result<ExitStatus> = self.child.wait();
    }

    /// Whether the leader has exited and no process holds its output open.
    fn has_ended(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_))) && self.output.is_closed()
    }
}

impl Drop for Leash {
    fn drop(&mut self) {
        self.end_group();
    }
}
