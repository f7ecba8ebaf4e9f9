//! Conformance with `/v1/openapi.json`: schemathesis sends valid and invalid requests for instances in every state, and
//! the description must cover every response. `tests/openapi` has the settings.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use leash::Leash;
use serde_json::json;

use crate::harness::{API_KEY, Jar, NOW, Testbed, api_key, external, guid, parameter, request};

const TIMEOUT: Duration = Duration::from_mins(5);

/// Adds a dictionary to the settings. schemathesis takes a parameter's value from it with a probability of 70 %.
fn dictionary(text: &mut String, name: &str, parameter: &str, values: &[String]) {
    let values: Vec<String> = values.iter().map(|value| format!("\"{value}\"")).collect();
    let _ = write!(
        text,
        "[dictionaries.{name}]\nvalues = [{}]\n[parameters.\"{parameter}\"]\ndictionary = \"{name}\"\nprobability = 0.7\n",
        values.join(", ")
    );
}

#[test]
fn schemathesis_finds_no_undescribed_response() {
    let bed = Testbed::delivering(|values| {
        let key = format!("{}:token+instances+events+proxy+admin", api_key("back-end", API_KEY));
        values.with("API_KEYS", key).with("EVENTS_RETAIN_HOURS", "1").with("AFTER_INSTALL_URL", "https://shop.example")
    });
    bed.wix.switch(&json!({ "rate_limit_per_minute": 0 }));
    let installed: Vec<String> = (0..4).map(|_| bed.wix.new_instance()).collect();
    let [removed, refused] = [bed.wix.new_instance(), bed.wix.new_instance()];
    bed.wix.remove(&removed);
    bed.wix.refuse_with(&refused, "oauth2_token", 1_000_000, 404);
    bed.token(NOW, &refused).expect(409);
    let tokens: Vec<String> = installed
        .iter()
        .map(|id| bed.token(NOW, id).expect(200).json()["access_token"].as_str().expect("a token").to_owned())
        .collect();
    let signed: Vec<String> = installed
        .iter()
        .map(|id| bed.wix.post("/_sim/signed-instance", &json!({ "instance_id": id })))
        .map(|response| response["instance"].as_str().expect("a value").to_owned())
        .collect();

    let handoffs: Vec<String> = (0..4)
        .map(|_| {
            let mut jar = Jar::default();
            let callback = external(bed.url(), &mut jar, "?ref=7", &bed.wix.site(), "agree");
            parameter(&jar.get(&callback).expect(302).location(), "handoff")
        })
        .collect();

    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut settings = fs::read_to_string(root.join("tests/openapi/schemathesis.toml")).expect("the settings");
    let ids: Vec<String> = installed.iter().cloned().chain([removed, refused, guid()]).collect();
    settings.push('\n');
    dictionary(&mut settings, "ids", "path.id", &ids);
    dictionary(&mut settings, "tokens", "body.access_token", &tokens);
    dictionary(&mut settings, "signed", "body.instance", &signed);
    dictionary(&mut settings, "handoffs", "body.handoff", &handoffs);
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let file = folder.path().join("schemathesis.toml");
    fs::write(&file, settings).expect("a writable directory");

    let program = std::env::var_os("SCHEMATHESIS").map(PathBuf::from).filter(|path| path.is_file());
    let Some(program) = program else {
        panic!("SCHEMATHESIS must be the path of schemathesis; `cargo xtask test` installs it and sets the path")
    };
    let mut command = Command::new(program);
    command
        .arg("--config-file")
        .arg(&file)
        .args(["run", "--no-color", "--header", &format!("Authorization: Bearer {API_KEY}")])
        .arg(format!("{}/v1/openapi.json", bed.url()))
        .current_dir(folder.path());
    let report = Arc::new(Mutex::new(String::new()));
    let lines = Arc::clone(&report);
    let on_line = move |line: &str| {
        let _ = writeln!(lines.lock().expect("a lock that is not poisoned"), "{line}");
    };
    let mut schemathesis = Leash::spawn("schemathesis", &command, on_line).unwrap_or_else(|error| panic!("{error}"));
    let until = Instant::now() + TIMEOUT;
    let status = loop {
        match schemathesis.exit_status().unwrap_or_else(|error| panic!("{error}")) {
            Some(status) => break status,
            None if Instant::now() > until => {
                panic!("schemathesis must end within 5 minutes:\n{}", schemathesis.tail())
            }
            None => std::thread::sleep(Duration::from_millis(100)),
        }
    };
    schemathesis.end();
    let report = report.lock().expect("a lock that is not poisoned").clone();
    println!("{report}");
    for entry in bed.log.entries().iter().filter(|entry| entry["status"].as_i64() >= Some(500)) {
        println!("{entry}");
    }
    assert!(status.success(), "schemathesis reported failures; see above");

    // The coverage must suffice: each route has both successful and refused requests.
    let mut seen = BTreeMap::<(String, i64), usize>::new();
    for entry in bed.log.entries() {
        if let (Some(route), Some(status)) = (entry["route"].as_str(), entry["status"].as_i64()) {
            *seen.entry((route.to_owned(), status)).or_default() += 1;
        }
    }
    println!("{seen:#?}");
    assert!(seen.keys().all(|(_, status)| *status < 500), "{seen:#?}");
    let document = request("GET", format!("{}/v1/openapi.json", bed.url())).send().expect(200).json();
    for path in document["paths"].as_object().expect("paths").keys() {
        let route = path.replace("{path}", "…");
        let times = |status| seen.get(&(route.clone(), status)).copied().unwrap_or_default();
        // schemathesis encodes the slash in the parameter `path`, so it never reaches an existing path at Wix.
        let done = match route.as_str() {
            _ if route.ends_with('…') => times(404),
            // An event and its installation seldom meet.
            _ if route.ends_with("/redeliver") => times(202) + times(404),
            // A value is used once.
            "/v1/handoffs" => times(200) + times(422),
            _ => times(200) + times(202),
        };
        let enough = match route.as_str() {
            "/v1/import" => 0,
            // They have no parameters.
            "/v1/openapi.json" | "/v1/reconciliation" | "/v1/session" => 1,
            _ => 10,
        };
        assert!(done >= enough, "{route} had too few requests: {seen:#?}");
        assert!(!path.contains('{') || times(400) >= 5, "{route} had too few requests: {seen:#?}");
    }
}
