//! The command against a small server that fails now and then.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::thread;

use super::{Options, file, run_with};

/// What the server does with one request: how many lines it answers, and whether the response then breaks off.
type Step = (usize, bool);

/// Answers requests by these steps, and then whole. A line is refused if it contains `refuse`.
fn serve(steps: Vec<Step>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    thread::spawn(move || {
        let mut steps = steps.into_iter();
        for stream in listener.incoming().map_while(Result::ok) {
            let mut reader = BufReader::new(&stream);
            let mut length = 0;
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).expect("a header");
                if line.trim().is_empty() {
                    break;
                }
                if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().expect("a number");
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).expect("a body");
            let (most, breaks) = steps.next().unwrap_or((usize::MAX, false));
            let lines = body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
            let mut answer = String::new();
            for (at, line) in lines.enumerate() {
                let outcome = match (at < most, line.windows(6).any(|part| part == b"refuse")) {
                    (false, _) if breaks => break,
                    (false, _) => "failed",
                    (true, true) => "refused",
                    (true, false) => "imported",
                };
                let line = format!("{{\"line\":{},\"outcome\":\"{outcome}\"}}\n", at + 1);
                answer.push_str(&line);
            }
            let length = answer.len() + usize::from(breaks) * 100;
            let head = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
            let _ = (&stream).write_all((head + &answer).as_bytes());
        }
    });
    url
}

fn import(file: &Path, url: &str, key: &str) -> Result<(), String> {
    let options = Options { file: file.to_owned(), url: url.to_owned(), batch: 10 };
    run_with(&options, key).map_err(|error| format!("{error:#}"))
}

fn beside(file: &Path, end: &str) -> String {
    std::fs::read_to_string(format!("{}{end}", file.display())).unwrap_or_default()
}

#[test]
fn an_import_goes_on_where_it_was_interrupted() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("old.ndjson");
    let lines: Vec<String> =
        (1..=35).map(|at| if at % 10 == 3 { format!("refuse {at}\n\n") } else { format!("{at}\r\n") }).collect();
    std::fs::write(&file, lines.concat()).expect("a file");
    // The first batch is done in three requests, the second in one, and then nothing works.
    let failing = vec![(4, false), (3, true), (10, false), (10, false), (0, false), (0, true)];
    let failing = failing.into_iter().chain(std::iter::repeat_n((0, false), 20)).collect();
    let error = import(&file, &serve(failing), "a-secret-key").expect_err("it stopped");
    assert!(error.contains("Line 23 and others are not imported") && !error.contains("secret"), "{error}");
    let rejected = "{\"line\":3,\"outcome\":\"refused\"}\n{\"line\":14,\"outcome\":\"refused\"}\n";
    assert_eq!(beside(&file, ".rejected"), rejected);
    // Written and not noted.
    std::fs::write(format!("{}.rejected", file.display()), format!("{rejected}{{")).expect("a file");
    let error = import(&file, &serve(Vec::new()), "key").expect_err("lines were rejected");
    assert!(error.contains("refused or invalid"), "{error}");
    let numbers: Vec<u64> = beside(&file, ".rejected")
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON")["line"].as_u64().expect("a number"))
        .collect();
    assert_eq!(numbers, [3, 14, 25, 36]);
    assert_eq!(beside(&file, ".progress"), "");
}

#[test]
fn another_file_does_not_continue_an_import() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("old.ndjson");
    std::fs::write(&file, "one\ntwo").expect("a file");
    let mut source = file::Source::open(&file).expect("a source");
    assert_eq!((source.lines(), source.batch(5).expect("lines").len()), (2, 2));
    let mut progress = file::Progress::open(&file, source.hash()).expect("none");
    progress.add(&[], &[], 1).expect("noted");
    std::fs::write(&file, "other\ntwo").expect("a file");
    assert!(import(&file, "http://127.0.0.1:1", "key").expect_err("changed").contains("the file has changed"));
    assert!(import(&file, "http://example.com", "key").expect_err("plain").contains("must begin with https"));
}
