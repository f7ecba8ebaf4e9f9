//! The import of installations in real workerd: interrupted and repeated, and of a body of a hundred megabytes.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use url::Url;
use workerd::{Kv, Workerd};

use crate::harness::{API_KEY, APP, Log, Objects, Values, Wix, guid, highest, memory, request, values_for};

/// The API key of the operator.
const ADMIN_KEY: &str = "it-key-of-the-operator-0123456789abcdef";
/// How many lines the check imports; `IMPORT_LINES` sets another number.
const LINES: usize = 300;
/// How many lines a request has.
const BATCH: usize = 40;
const MEGABYTES: usize = 100;
/// The limit for the growth of workerd's memory while 102,400 KiB are received and answered, in KiB. V8 collects the buffers
/// late: a hundred megabytes cost 55 MB, and three hundred 70 MB.
const MAX_GROWTH: u64 = 85 * 1024;

/// The Worker with its objects.
struct Bed {
    wix: Wix,
    kv: Kv,
    values: Values,
    folder: TempDir,
    log: Arc<Log>,
    workerd: Option<Workerd>,
}

impl Bed {
    fn start() -> Self {
        let (wix, kv) = (Wix::start(), Kv::start().expect("a KV"));
        wix.switch(&json!({ "rate_limit_per_minute": 0 }));
        let keys = [(API_KEY, ""), (ADMIN_KEY, ":admin")].map(|(key, scopes)| {
            let name = if scopes.is_empty() { "back-end" } else { "operator" };
            format!("{}{scopes}", crate::harness::api_key(name, key))
        });
        let values = values_for(&wix).with("API_KEYS", keys.join(","));
        let folder = tempfile::Builder::new().prefix("objects-").tempdir().expect("a folder");
        let mut bed = Self { wix, kv, values, folder, log: Arc::default(), workerd: None };
        bed.run();
        bed
    }

    fn run(&mut self) {
        let lines = Arc::clone(&self.log);
        let objects = Objects { values: &self.values, kv: &self.kv, folder: self.folder.path() };
        self.workerd = Some(objects.start(None, move |line| lines.push(line)));
        request("GET", format!("{}/readyz", self.url())).send().expect(200);
    }

    /// Kills workerd, and starts it on the same storage.
    fn kill(&mut self) {
        if let Some(workerd) = self.workerd.take() {
            workerd.kill();
        }
        self.run();
    }

    fn url(&self) -> &str {
        self.workerd.as_ref().map_or("", |workerd| workerd.url(APP))
    }

    fn memory(&self) -> u64 {
        self.workerd.as_ref().map_or(0, memory)
    }

    /// A connection on which a request with a body of so many bytes has begun.
    fn begin(&self, length: usize) -> TcpStream {
        let url = Url::parse(self.url()).expect("a URL");
        let host = format!("{}:{}", url.host_str().expect("a host"), url.port().expect("a port"));
        let mut stream = TcpStream::connect(&host).expect("a connection");
        let head = format!(
            "POST /v1/import HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {ADMIN_KEY}\r\nconnection: close\r\n\
             content-length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).expect("an open connection");
        stream
    }

    /// The outcomes of the lines that were answered, by id. `Err` if there was no answer.
    fn import(&self, lines: &[&String]) -> Result<BTreeMap<String, String>, String> {
        let body = body_of(lines);
        let sent = request("POST", format!("{}/v1/import", self.url())).key(ADMIN_KEY).body(body).try_send();
        let answer = sent.map_err(|error| error.to_string())?.expect(200);
        let lines = answer.text().lines().map(|line| serde_json::from_str(line).expect("JSON")).collect::<Vec<Value>>();
        let text = |line: &Value, name: &str| line[name].as_str().expect("a text").to_owned();
        Ok(lines.iter().map(|line| (text(line, "instance_id"), text(line, "outcome"))).collect())
    }
}

fn line(id: &str) -> String {
    json!({ "instance_id": id, "installed_at": 1_700_000_000, "plan": "pro" }).to_string()
}

fn body_of(lines: &[&String]) -> String {
    lines.iter().fold(String::new(), |body, line| body + line + "\n")
}

/// Sends what is not done yet, a batch at a time, with three interruptions.
#[test]
fn an_interrupted_import_loses_and_duplicates_nothing() {
    let count = std::env::var("IMPORT_LINES").ok().and_then(|text| text.parse().ok()).unwrap_or(LINES);
    let mut bed = Bed::start();
    let ids: Vec<String> = (0..count)
        .map(|_| {
            bed.wix.post("/_sim/installs", &json!({}))["instance"]["instance_id"].as_str().expect("an id").to_owned()
        })
        .collect();
    let refused = guid();
    let lines: BTreeMap<String, String> = ids.iter().chain([&refused]).map(|id| (id.clone(), line(id))).collect();
    let started = Instant::now();
    let (mut done, mut left) = (BTreeMap::<String, String>::new(), lines.values().collect::<Vec<_>>());
    let mut interruptions = vec![count / 5, count / 2, count * 4 / 5];
    while !left.is_empty() {
        let batch: Vec<&String> = left.iter().copied().take(BATCH).collect();
        if interruptions.first().is_some_and(|at| done.len() >= *at) {
            interruptions.remove(0);
            let body = body_of(&batch);
            let mut stream = bed.begin(body.len());
            if interruptions.is_empty() {
                // The end is missing, and the last line that is sent is cut off.
                stream.write_all(&body.as_bytes()[..body.len() * 3 / 4]).expect("an open connection");
                bed.kill();
            } else {
                stream.write_all(body.as_bytes()).expect("an open connection");
                let mut lines = BufReader::new(stream).lines();
                let answer = lines.find(|line| line.as_ref().is_ok_and(|line| line.contains("outcome")));
                assert!(answer.is_some(), "an answer before the interruption");
                if interruptions.len() == 1 {
                    bed.kill();
                }
            }
            continue;
        }
        for (id, outcome) in bed.import(&batch).expect("an answer") {
            if outcome != "failed" {
                assert_eq!(done.insert(id, outcome), None);
            }
        }
        left.retain(|line| {
            !done.contains_key(
                serde_json::from_str::<Value>(line).expect("JSON")["instance_id"].as_str().expect("an id"),
            )
        });
    }
    println!("{count} lines in {:?}", started.elapsed());
    assert!(interruptions.is_empty());
    assert_eq!(done.remove(&refused).as_deref(), Some("refused"));
    let known = done.values().filter(|outcome| *outcome == "known").count();
    assert!(done.len() == count && done.values().all(|outcome| outcome == "known" || outcome == "imported"));
    assert!((1..=3 * BATCH).contains(&known), "{known} lines were stored and not answered");

    let stored: Vec<String> = bed.kv.entries("v1:instance:").iter().map(|entry| entry.key.clone()).collect();
    let mut wanted: Vec<String> = ids.iter().map(|id| format!("v1:instance:{id}")).collect();
    wanted.sort();
    assert_eq!(stored, wanted);
    for id in [&ids[0], &ids[count / 2], &ids[count - 1]] {
        let record = request("GET", format!("{}/v1/instances/{id}", bed.url())).key(API_KEY).send().expect(200).json();
        assert_eq!(
            (&record["status"], &record["installed_at"], &record["plan"]),
            (&json!("installed"), &json!(1_700_000_000), &json!("pro"))
        );
    }
    assert_eq!(bed.import(&[&line(&ids[0])]).expect("an answer")[&ids[0]], "known");
}

/// Most lines are invalid, since Wix would be the slowest part. Each is answered before the body ends.
#[test]
fn a_body_of_100_mb_is_answered_in_flat_memory() {
    let bed = Bed::start();
    let known =
        bed.wix.post("/_sim/installs", &json!({}))["instance"]["instance_id"].as_str().expect("an id").to_owned();
    let junk = format!("{{\"instance_id\":\"{}\"}}\n", "x".repeat(8_000));
    let good = line(&known) + "\n";
    let count = (MEGABYTES << 20) / junk.len();
    let import = |count: usize| {
        let stream = bed.begin(count * junk.len() + good.len());
        let answers = AtomicU64::new(0);
        std::thread::scope(|scope| {
            let reading = scope.spawn(|| {
                let mut last = String::new();
                for line in BufReader::new(&stream).lines() {
                    let line = line.expect("an open connection");
                    if line.contains("\"outcome\"") {
                        answers.fetch_add(1, Ordering::Relaxed);
                        last = line;
                    }
                }
                last
            });
            for at in 0..count {
                (&stream).write_all(junk.as_bytes()).expect("an open connection");
                if at == count / 2 {
                    let until = Instant::now() + Duration::from_secs(20);
                    while answers.load(Ordering::Relaxed) < u64::try_from(count / 4).expect("a number") {
                        assert!(Instant::now() < until, "lines must be answered while the body is received");
                        std::thread::sleep(Duration::from_millis(5));
                    }
                }
            }
            (&stream).write_all(good.as_bytes()).expect("an open connection");
            let last = reading.join().expect("an end");
            assert_eq!(answers.load(Ordering::Relaxed), u64::try_from(count + 1).expect("a number"));
            let last: Value = serde_json::from_str(&last).expect("JSON");
            assert_eq!((&last["line"], &last["instance_id"]), (&json!(count + 1), &json!(known)));
            last["outcome"].as_str().expect("an outcome").to_owned()
        })
    };
    assert_eq!(import(count / 10), "imported");
    let before = bed.memory();
    let started = Instant::now();
    let most = highest(|| bed.memory(), || assert_eq!(import(count), "known"));
    println!("{count} lines in {:?}, {before} KiB before, {most} KiB at most", started.elapsed());
    assert!(most - before < MAX_GROWTH, "{before} KiB before, {most} KiB at most");
}
