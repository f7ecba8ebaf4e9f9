//! The app API is what `/v1/openapi.json` says: schemathesis tries it with what the description allows and what it does
//! not, on instances in every state, and every answer must be described. `tests/openapi` has its settings.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use leash::Leash;
use serde_json::json;

use crate::harness::{API_KEY, Direct, NOW, ask, guid};

const PATIENCE: Duration = Duration::from_mins(5);

/// A dictionary of its configuration, from which it takes a value for a parameter or field more often than not.
fn dictionary(text: &mut String, name: &str, parameter: &str, values: &[String]) {
    let values: Vec<String> = values.iter().map(|value| format!("\"{value}\"")).collect();
    let _ = write!(
        text,
        "[dictionaries.{name}]\nvalues = [{}]\n[parameters.\"{parameter}\"]\ndictionary = \"{name}\"\nprobability = 0.7\n",
        values.join(", ")
    );
}

#[test]
fn schemathesis_finds_no_answer_that_is_not_described() {
    let stand = Direct::start(|values| values);
    stand.wix.switch(&json!({ "rate_limit_per_minute": 0 }));
    let installed: Vec<String> = (0..4).map(|_| stand.wix.installed()).collect();
    let [removed, refused] = [stand.wix.installed(), stand.wix.installed()];
    stand.wix.remove(&removed);
    stand.wix.refuses(&refused, "oauth2_token", 1_000_000, 404);
    stand.token(NOW, &refused).expect(409);
    let tokens: Vec<String> = installed
        .iter()
        .map(|id| stand.token(NOW, id).expect(200).json()["access_token"].as_str().expect("a token").to_owned())
        .collect();
    let signed: Vec<String> = installed
        .iter()
        .map(|id| stand.wix.post("/_sim/signed-instance", &json!({ "instance_id": id })))
        .map(|answer| answer["instance"].as_str().expect("a value").to_owned())
        .collect();

    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut settings = fs::read_to_string(root.join("tests/openapi/schemathesis.toml")).expect("its settings");
    let ids: Vec<String> = installed.iter().cloned().chain([removed, refused, guid()]).collect();
    settings.push('\n');
    dictionary(&mut settings, "ids", "path.id", &ids);
    dictionary(&mut settings, "tokens", "body.access_token", &tokens);
    dictionary(&mut settings, "signed", "body.instance", &signed);
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let file = folder.path().join("schemathesis.toml");
    fs::write(&file, settings).expect("a writable folder");

    let program = std::env::var_os("SCHEMATHESIS").map(PathBuf::from).filter(|path| path.is_file());
    let Some(program) = program else {
        panic!("SCHEMATHESIS does not name schemathesis; `cargo xtask test` installs it")
    };
    let mut command = Command::new(program);
    command
        .arg("--config-file")
        .arg(&file)
        .args(["run", "--no-color", "--header", &format!("Authorization: Bearer {API_KEY}")])
        .arg(format!("{}/v1/openapi.json", stand.url()))
        .current_dir(folder.path());
    let report = Arc::new(Mutex::new(String::new()));
    let lines = Arc::clone(&report);
    let on_line = move |line: &str| {
        let _ = writeln!(lines.lock().expect("nobody panicked"), "{line}");
    };
    let mut schemathesis = Leash::spawn("schemathesis", &command, on_line).unwrap_or_else(|error| panic!("{error}"));
    let until = Instant::now() + PATIENCE;
    let status = loop {
        match schemathesis.exit_status().unwrap_or_else(|error| panic!("{error}")) {
            Some(status) => break status,
            None if Instant::now() > until => panic!("schemathesis does not end:\n{}", schemathesis.tail()),
            None => std::thread::sleep(Duration::from_millis(100)),
        }
    };
    schemathesis.end();
    let report = report.lock().expect("nobody panicked").clone();
    println!("{report}");
    for entry in stand.log.entries().iter().filter(|entry| entry["status"].as_i64() >= Some(500)) {
        println!("{entry}");
    }
    assert!(status.success(), "schemathesis found what is told above");

    // And it came far enough: everywhere something was done, and something was refused.
    let mut seen = BTreeMap::<(String, i64), usize>::new();
    for entry in stand.log.entries() {
        if let (Some(route), Some(status)) = (entry["route"].as_str(), entry["status"].as_i64()) {
            *seen.entry((route.to_owned(), status)).or_default() += 1;
        }
    }
    println!("{seen:#?}");
    assert!(seen.keys().all(|(_, status)| *status < 500), "{seen:#?}");
    let document = ask("GET", format!("{}/v1/openapi.json", stand.url())).send().expect(200).json();
    for path in document["paths"].as_object().expect("paths").keys() {
        let route = path.replace("{path}", "…");
        let times = |status| seen.get(&(route.clone(), status)).copied().unwrap_or_default();
        // Of the paths that a description can ask of Wix none is there: a slash in a parameter is an encoded one.
        let done = if route.ends_with('…') { times(404) } else { times(200) };
        assert!(done >= 10 || route == "/v1/openapi.json", "{route} was hardly tried: {seen:#?}");
        assert!(!path.contains('{') || times(400) >= 5, "{route} was hardly tried: {seen:#?}");
    }
}
