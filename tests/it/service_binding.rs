//! Another Worker in the account calls the app API by a service binding, with the npm package: the same routes, and no way
//! over the network, for it is never told an address.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

use serde_json::{Value, json};
use workerd::{Counts, Entry, Setup, Worker};

use crate::harness::{API_KEY, Answer, Direct, NOW, guid, path_with_node};

/// `env.WIX_EDGE` is the Worker.
static STAND: LazyLock<Direct> = LazyLock::new(|| Direct::beside(|values| values, with_caller));

fn with_caller(setup: Setup) -> Setup {
    let caller = Worker::script("2026-10-20", &caller()).service("WIX_EDGE", NOW.0).text("WIX_EDGE_KEY", API_KEY);
    setup.worker("caller", caller)
}

/// The caller and the package in one module.
fn caller() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut esbuild = Command::new(root.join("node_modules/.bin/esbuild"));
    esbuild.args(["clients/js/test/caller.mjs", "--bundle", "--format=esm", "--log-level=warning"]);
    let output = esbuild.current_dir(root).env("PATH", path_with_node(root)).output().expect("esbuild can be started");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}: `cargo xtask test` builds clients/js first");
    String::from_utf8(output.stdout).expect("text")
}

fn ask(stand: &Direct, path: &str) -> Answer {
    stand.ask_other("caller", "GET", path).send()
}

#[test]
fn a_token_is_had_by_the_binding() {
    let id = STAND.wix.installed();
    let token = ask(&STAND, &format!("/token/{id}")).expect(200).json();
    assert_eq!(token, STAND.token(NOW, &id).expect(200).json());
    let headers = ask(&STAND, &format!("/sdk/{id}")).expect(200).json();
    assert_eq!(headers["Authorization"], token["access_token"]);
    assert_eq!(STAND.wix.calls(&id).len(), 1);
}

#[test]
fn wixs_api_is_called_by_the_binding_in_both_directions() {
    let id = STAND.wix.installed();
    let answer = ask(&STAND, &format!("/wix/{id}")).expect(200);
    assert_eq!(answer.json()["instance"]["instanceId"], json!(id));
    let upload = STAND.ask_other("caller", "POST", &format!("/upload/{id}"));
    upload.json(&json!({ "eventName": "APP_UPGRADED" })).send().expect(200);
    assert_eq!(STAND.wix.bi_events(&id, 1)[0]["event_name"], "APP_UPGRADED");
}

#[test]
fn the_workers_no_is_the_callers_error() {
    let answer = ask(&STAND, &format!("/token/{}", guid())).expect(500).json();
    assert_eq!((&answer["status"], &answer["code"]), (&json!(404), &json!("unknown_instance")));
}

/// A stand of its own, since every instance of it is counted.
#[test]
fn ten_thousand_instances_are_ten_pages_of_one_kv_operation() {
    const COUNT: usize = 10_000;
    let stand = Direct::beside(|values| values, with_caller);
    let first = stand.wix.installed();
    let [row] = stand.kv.entries("v1:instance:").try_into().expect("one row");
    // The row once more under other ids: of what is in it nothing else need be known.
    let ids: BTreeSet<String> = (1..COUNT).map(|_| guid()).chain([first.clone()]).collect();
    let text = String::from_utf8(row.value.clone()).expect("text");
    stand.kv.seed(ids.iter().map(|id| {
        let metadata = row.metadata.as_ref().map(|metadata| metadata.replace(&first, id));
        Entry::new(row.key.replace(&first, id), text.replace(&first, id), metadata)
    }));

    stand.kv.forget_operations();
    let listed = ask(&stand, "/all").expect(200).json();
    let listed: Vec<&str> = listed.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    assert_eq!(listed.len(), COUNT);
    assert_eq!(listed.into_iter().collect::<BTreeSet<_>>(), ids.iter().map(String::as_str).collect());
    assert_eq!(stand.kv.counts(), Counts { lists: 10, ..Counts::default() });
}
