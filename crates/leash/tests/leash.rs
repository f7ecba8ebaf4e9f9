//! What the leash promises, tried with real processes.
//!
//! Whether a process is gone is seen at a named pipe that it holds open: the reader meets the end when the last holder
//! has ended. Process ids would not do: a dead process keeps its id until somebody asks for its status.

use std::error::Error;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use leash::{Leash, free_port, is_free};
use tempfile::TempDir;

type Outcome = Result<(), Box<dyn Error>>;

const SOON: Duration = Duration::from_secs(10);
/// Tells the test binary, started anew, where the named pipe is.
const PIPE_VARIABLE: &str = "LEASH_TEST_PIPE";

fn sh(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

fn quiet(_: &str) {}

/// A named pipe in a folder of its own.
fn named_pipe() -> Result<(TempDir, PathBuf), Box<dyn Error>> {
    let folder = TempDir::new()?;
    let path = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&path).status()?.success());
    Ok((folder, path))
}

/// Says "open" when somebody holds the pipe, and "closed" when nobody does any more.
fn watch(path: &Path) -> Receiver<&'static str> {
    let (tell, told) = mpsc::channel();
    let path = path.to_owned();
    thread::spawn(move || {
        if let Ok(mut pipe) = File::open(path) {
            let _ = tell.send("open");
            let _ = pipe.read_to_end(&mut Vec::new());
            let _ = tell.send("closed");
        }
    });
    told
}

/// A child, and its child, which holds the pipe and is deaf to nothing.
fn with_grandchild(pipe: &Path) -> Command {
    let mut command = sh(r#"sh -c 'sleep 1000; :' >"$PIPE" & echo ready; wait"#);
    command.env("PIPE", pipe);
    command
}

#[test]
fn grandchildren_end_with_the_leash() -> Outcome {
    let (_folder, pipe) = named_pipe()?;
    let told = watch(&pipe);
    let mut leash = Leash::spawn("family", &with_grandchild(&pipe), quiet)?;
    leash.wait_for_line(SOON, |line| line == "ready")?;
    assert_eq!(told.recv_timeout(SOON)?, "open");

    drop(leash);
    assert_eq!(told.recv_timeout(SOON)?, "closed");
    Ok(())
}

#[test]
fn who_does_not_listen_to_term_is_killed() -> Outcome {
    let (_folder, pipe) = named_pipe()?;
    let told = watch(&pipe);
    let mut command = sh(r#"trap '' TERM; sh -c 'while :; do sleep 1; done' >"$PIPE" & echo ready; wait"#);
    command.env("PIPE", &pipe);
    let mut leash = Leash::spawn("deaf", &command, quiet)?;
    leash.wait_for_line(SOON, |line| line == "ready")?;
    assert_eq!(told.recv_timeout(SOON)?, "open");

    leash.end();
    assert_eq!(told.recv_timeout(SOON)?, "closed");
    Ok(())
}

#[test]
fn a_willing_group_ends_at_once() -> Outcome {
    let mut leash = Leash::spawn("willing", &sh("echo ready; exec sleep 1000"), quiet)?;
    leash.wait_for_line(SOON, |line| line == "ready")?;
    let start = Instant::now();
    leash.end();
    assert!(start.elapsed() < Duration::from_secs(2), "took {:?}", start.elapsed());
    Ok(())
}

#[test]
fn what_a_dead_command_left_behind_ends_too() -> Outcome {
    let (_folder, pipe) = named_pipe()?;
    let told = watch(&pipe);
    let mut command = sh(r#"sleep 1000 >"$PIPE" 2>&1 & exit 7"#);
    command.env("PIPE", &pipe);
    let mut leash = Leash::spawn("orphans", &command, quiet)?;
    assert_eq!(told.recv_timeout(SOON)?, "open");
    let error = leash.wait_for_line(SOON, |_| false).expect_err("nothing is written");
    assert!(error.to_string().contains("exit status: 7"), "{error}");

    drop(leash);
    assert_eq!(told.recv_timeout(SOON)?, "closed");
    Ok(())
}

#[test]
fn the_group_ends_when_the_holder_is_killed() -> Outcome {
    let (_folder, pipe) = named_pipe()?;
    let told = watch(&pipe);
    let mut holder = Command::new(std::env::current_exe()?)
        .args(["--ignored", "--exact", "holds_a_leash_until_killed"])
        .env(PIPE_VARIABLE, &pipe)
        .stdout(Stdio::null())
        .spawn()?;
    assert_eq!(told.recv_timeout(SOON)?, "open");

    holder.kill()?; // SIGKILL: no destructor runs.
    holder.wait()?;
    assert_eq!(told.recv_timeout(SOON)?, "closed");
    Ok(())
}

#[test]
#[ignore = "a part of the test before it, in a process of its own"]
fn holds_a_leash_until_killed() -> Outcome {
    let Some(pipe) = std::env::var_os(PIPE_VARIABLE) else { return Ok(()) };
    let _leash = Leash::spawn("family", &with_grandchild(Path::new(&pipe)), quiet)?;
    thread::sleep(Duration::from_mins(2));
    Ok(())
}

#[test]
#[cfg(target_os = "linux")]
fn its_processes_are_known_by_name_and_those_of_others_are_not() -> Outcome {
    let leash = |seconds: &str| {
        let mut leash = Leash::spawn("pair", &sh(&format!("sleep {seconds} & echo ready; wait")), quiet)?;
        leash.wait_for_line(SOON, |line| line == "ready")?;
        Ok::<_, Box<dyn Error>>(leash)
    };
    let (one, other) = (leash("1000")?, leash("1001")?);
    let deadline = Instant::now() + SOON;
    while one.processes("sleep").is_empty() || other.processes("sleep").is_empty() {
        assert!(Instant::now() < deadline, "its processes are not found");
        thread::sleep(Duration::from_millis(10));
    }
    assert!(one.processes("sleep").iter().all(|id| !other.processes("").contains(id)));
    assert_eq!(one.processes("no-such-name"), []);
    Ok(())
}

#[test]
fn an_early_end_is_told_with_the_last_lines() -> Outcome {
    let mut leash = Leash::spawn("brief", &sh("echo one; echo two >&2; exit 3"), quiet)?;
    let error = leash.wait_for_line(SOON, |line| line == "ready").expect_err("it is never ready").to_string();
    assert!(error.starts_with("brief ended (exit status: 3)"), "{error}");
    assert!(error.contains("| one") && error.contains("| two"), "{error}");
    Ok(())
}

#[test]
fn a_passed_deadline_is_told_with_the_last_lines() -> Outcome {
    let mut leash = Leash::spawn("slow", &sh("echo thinking; sleep 1000"), quiet)?;
    leash.wait_for_line(SOON, |line| line == "thinking")?;
    let error = leash.wait_for_line(Duration::from_secs(1), |line| line == "ready").expect_err("never").to_string();
    assert!(error.starts_with("slow was not ready after 1 s"), "{error}");
    assert!(error.contains("| thinking"), "{error}");
    Ok(())
}

#[test]
fn a_command_that_is_not_there_is_named() -> Outcome {
    let mut leash = Leash::spawn("nothing", &Command::new("no-such-command-here"), quiet)?;
    let error = leash.wait_for_line(SOON, |_| false).expect_err("it is not there").to_string();
    assert!(error.contains("no-such-command-here"), "{error}");
    Ok(())
}

#[test]
fn every_line_reaches_the_callback_and_arguments_arrive_whole() -> Outcome {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&lines);
    let mut command = Command::new("printf");
    command.args(["%s\\n", "a b", "$HOME", "'", "last"]);
    let mut leash = Leash::spawn("printf", &command, move |line| {
        if let Ok(mut lines) = seen.lock() {
            lines.push(line.to_owned());
        }
    })?;
    leash.wait_for_line(SOON, |line| line == "last")?;
    assert_eq!(*lines.lock().map_err(|_| "poisoned")?, ["a b", "$HOME", "'", "last"]);
    Ok(())
}

#[test]
fn folder_and_environment_are_the_commands_own() -> Outcome {
    let folder = TempDir::new()?;
    let mut command = sh(r#"echo "$COLOUR $(pwd -P)""#);
    command.current_dir(folder.path()).env("COLOUR", "green");
    let mut leash = Leash::spawn("sh", &command, quiet)?;
    let line = leash.wait_for_line(SOON, |line| line.starts_with("green"))?;
    assert_eq!(line, format!("green {}", folder.path().canonicalize()?.display()));
    Ok(())
}

#[test]
fn a_free_port_is_free_until_it_is_taken() -> Outcome {
    let port = free_port()?;
    assert!(is_free(port));
    let _listener = std::net::TcpListener::bind(("127.0.0.1", port))?;
    assert!(!is_free(port));
    Ok(())
}
