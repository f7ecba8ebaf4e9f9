//! The program: its ready line and its options.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wix-sim"));
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[test]
fn the_first_line_has_the_address() {
    let mut child = program().args(["--port", "0", "--app-secret", "s"]).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let url = line.trim_end().strip_prefix("Wix simulator ready on ").map(str::to_owned);
    let port = url.as_deref().and_then(|url| url.strip_prefix("http://127.0.0.1:"));
    let reached = port.is_some_and(|port| std::net::TcpStream::connect(format!("127.0.0.1:{port}")).is_ok());
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(reached, "{line}");
}

#[test]
fn an_invalid_option_ends_the_program_with_an_error() {
    for (options, expected) in [
        (["--webhook-url", "http://example.com/"], "must be loopback"),
        (["--key", "/nonexistent.pem"], "cannot be read"),
        (["--app-id", "mine"], "must be a GUID"),
    ] {
        let output = program().args(options).output().unwrap();
        assert!(!output.status.success(), "{options:?}");
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains(expected), "{options:?}: {text}");
    }
}
