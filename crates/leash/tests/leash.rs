//! The guarantees of a leash, tested with real processes.
//!
//! The tests detect the end of a process through a named pipe: the reader reaches end of file when the last process
//! that holds the pipe open has ended. A process id cannot show that: a zombie keeps its id until its parent waits.

use std::error::Error;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use leash::Leash;
use tempfile::TempDir;

type Outcome = Result<(), Box<dyn Error>>;

const TIMEOUT: Duration = Duration::from_secs(10);
/// Passes the path of the named pipe to the second process of the test binary.
const PIPE_VARIABLE: &str = "LEASH_TEST_PIPE";

fn sh(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

fn ignore_line(_: &str) {}

/// A named pipe in a temporary directory.
fn named_pipe() -> Result<(TempDir, PathBuf), Box<dyn Error>> {
    let folder = TempDir::new()?;
    let path = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&path).status()?.success());
    Ok((folder, path))
}

/// Sends "open" when a process has opened the pipe, and "closed" when no process holds it open any more.
fn watch(path: &Path) -> Receiver<&'static str> {
    let (sender, events) = mpsc::channel();
    let path = path.to_owned();
    thread::spawn(move || {
        if let Ok(mut pipe) = File::open(path) {
            let _ = sender.send("open");
            let _ = pipe.read_to_end(&mut Vec::new());
            let _ = sender.send("closed");
        }
    });
    events
}

/// A child, and a grandchild that holds the pipe open and ignores no signal.
fn with_grandchild(pipe: &Path) -> Command {
    let mut command = sh(r#"sh -c 'sleep 1000; :' >"$PIPE" & echo ready; wait"#);
    command.env("PIPE", pipe);
    command
}

#[test]
fn grandchildren_end_with_the_leash() -> Outcome {
    let (_folder, pipe) = named_pipe()?;
    let events = watch(&pipe);
    let mut leash = Leash::spawn("family", &with_grandchild(&pipe), ignore_line)?;
    leash.wait_for_line(TIMEOUT, |line| line == "ready")?;
    assert_eq!(events.recv_timeout(TIMEOUT)?, "open");

    drop(leash);
    assert_eq!(events.recv_timeout(TIMEOUT)?, "closed");
    Ok(())
}

#[test]
fn a_process_that_ignores_term_is_killed() -> Outcome {
    let (_folder, pipe) = named_pipe()?;
    let events = watch(&pipe);
    let mut command = sh(r#"trap '' TERM; sh -c 'while :; do sleep 1; done' >"$PIPE" & echo ready; wait"#);
    command.env("PIPE", &pipe);
    let mut leash = Leash::spawn("stubborn", &command, ignore_line)?;
    leash.wait_for_line(TIMEOUT, |line| line == "ready")?;
    assert_eq!(events.recv_timeout(TIMEOUT)?, "open");

    leash.end();
    assert_eq!(events.recv_timeout(TIMEOUT)?, "closed");
    Ok(())
}

#[test]
fn a_group_that_obeys_term_ends_without_delay() -> Outcome {
    let mut leash = Leash::spawn("obedient", &sh("echo ready; exec sleep 1000"), ignore_line)?;
    leash.wait_for_line(TIMEOUT, |line| line == "ready")?;
    let start = Instant::now();
    leash.end();
    assert!(start.elapsed() < Duration::from_secs(2), "took {:?}", start.elapsed());
    Ok(())
}

#[test]
fn orphans_of_an_exited_command_end_too() -> Outcome {
    let (_folder, pipe) = named_pipe()?;
    let events = watch(&pipe);
    let mut command = sh(r#"sleep 1000 >"$PIPE" 2>&1 & exit 7"#);
    command.env("PIPE", &pipe);
    let mut leash = Leash::spawn("orphans", &command, ignore_line)?;
    assert_eq!(events.recv_timeout(TIMEOUT)?, "open");
    let error = leash.wait_for_line(TIMEOUT, |_| false).expect_err("the command writes no line");
    assert!(error.to_string().contains("exit status: 7"), "{error}");

    drop(leash);
    assert_eq!(events.recv_timeout(TIMEOUT)?, "closed");
    Ok(())
}

#[test]
fn the_group_ends_when_the_parent_is_killed() -> Outcome {
    let (_folder, pipe) = named_pipe()?;
    let events = watch(&pipe);
    let mut parent = Command::new(std::env::current_exe()?)
        .args(["--ignored", "--exact", "holds_a_leash_until_killed"])
        .env(PIPE_VARIABLE, &pipe)
        .stdout(Stdio::null())
        .spawn()?;
    assert_eq!(events.recv_timeout(TIMEOUT)?, "open");

    parent.kill()?; // SIGKILL: no destructor runs.
    parent.wait()?;
    assert_eq!(events.recv_timeout(TIMEOUT)?, "closed");
    Ok(())
}

#[test]
#[ignore = "the test above runs it in a second process"]
fn holds_a_leash_until_killed() -> Outcome {
    let Some(pipe) = std::env::var_os(PIPE_VARIABLE) else { return Ok(()) };
    let _leash = Leash::spawn("family", &with_grandchild(Path::new(&pipe)), ignore_line)?;
    thread::sleep(Duration::from_mins(2));
    Ok(())
}

#[test]
#[cfg(target_os = "linux")]
fn processes_are_found_by_name_in_their_own_group_only() -> Outcome {
    let leash = |seconds: &str| {
        let mut leash = Leash::spawn("pair", &sh(&format!("sleep {seconds} & echo ready; wait")), ignore_line)?;
        leash.wait_for_line(TIMEOUT, |line| line == "ready")?;
        Ok::<_, Box<dyn Error>>(leash)
    };
    let (one, other) = (leash("1000")?, leash("1001")?);
    let deadline = Instant::now() + TIMEOUT;
    while one.processes("sleep").is_empty() || other.processes("sleep").is_empty() {
        assert!(Instant::now() < deadline, "no process named sleep was found");
        thread::sleep(Duration::from_millis(10));
    }
    assert!(one.processes("sleep").iter().all(|id| !other.processes("").contains(id)));
    assert_eq!(one.processes("no-such-name"), []);
    Ok(())
}

/// A process that ignores `TERM` would else live for three more seconds.
#[test]
fn kill_ends_the_whole_group_at_once() -> Outcome {
    let (_folder, pipe) = named_pipe()?;
    let end = watch(&pipe);
    let mut command = sh(r#"trap '' TERM; sh -c 'sleep 1000; :' >"$PIPE" & echo ready; wait"#);
    command.env("PIPE", &pipe);
    let mut leash = Leash::spawn("stubborn", &command, ignore_line)?;
    leash.wait_for_line(TIMEOUT, |line| line == "ready")?;
    assert_eq!(end.recv_timeout(TIMEOUT)?, "open");
    let started = Instant::now();
    leash.kill();
    assert_eq!(end.recv_timeout(TIMEOUT)?, "closed");
    assert!(started.elapsed() < Duration::from_millis(2_500), "after {:?}", started.elapsed());
    Ok(())
}

#[test]
fn an_early_exit_is_reported_with_the_last_lines() -> Outcome {
    let mut leash = Leash::spawn("brief", &sh("echo one; echo two >&2; exit 3"), ignore_line)?;
    let error = leash.wait_for_line(TIMEOUT, |line| line == "ready").expect_err("the command exits first").to_string();
    assert!(error.starts_with("brief ended (exit status: 3)"), "{error}");
    assert!(error.contains("| one") && error.contains("| two"), "{error}");
    Ok(())
}

#[test]
fn a_passed_deadline_is_reported_with_the_last_lines() -> Outcome {
    let mut leash = Leash::spawn("slow", &sh("echo thinking; sleep 1000"), ignore_line)?;
    leash.wait_for_line(TIMEOUT, |line| line == "thinking")?;
    let error =
        leash.wait_for_line(Duration::from_secs(1), |line| line == "ready").expect_err("no such line").to_string();
    assert!(error.starts_with("slow was not ready after 1 s"), "{error}");
    assert!(error.contains("| thinking"), "{error}");
    Ok(())
}

#[test]
fn the_error_for_a_missing_command_names_it() -> Outcome {
    let mut leash = Leash::spawn("nothing", &Command::new("no-such-command-here"), ignore_line)?;
    let error = leash.wait_for_line(TIMEOUT, |_| false).expect_err("the command does not exist").to_string();
    assert!(error.contains("no-such-command-here"), "{error}");
    Ok(())
}

#[test]
fn the_callback_gets_every_line_and_the_command_its_arguments_unchanged() -> Outcome {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&lines);
    let mut command = Command::new("printf");
    command.args(["%s\\n", "a b", "$HOME", "'", "last"]);
    let mut leash = Leash::spawn("printf", &command, move |line| {
        if let Ok(mut lines) = seen.lock() {
            lines.push(line.to_owned());
        }
    })?;
    leash.wait_for_line(TIMEOUT, |line| line == "last")?;
    assert_eq!(*lines.lock().map_err(|_| "poisoned")?, ["a b", "$HOME", "'", "last"]);
    Ok(())
}

#[test]
fn the_command_gets_its_directory_and_environment() -> Outcome {
    let folder = TempDir::new()?;
    let mut command = sh(r#"echo "$COLOUR $(pwd -P)""#);
    command.current_dir(folder.path()).env("COLOUR", "green");
    let mut leash = Leash::spawn("sh", &command, ignore_line)?;
    let line = leash.wait_for_line(TIMEOUT, |line| line.starts_with("green"))?;
    assert_eq!(line, format!("green {}", folder.path().canonicalize()?.display()));
    Ok(())
}
