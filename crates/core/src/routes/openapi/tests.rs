//! The description of the app API.

use std::path::Path;

use serde_json::Value;

use super::document::document;
use super::row::{Row, described, path};
use crate::testing::world::World;
use crate::web::Audience;

/// Writes the document on one line, except for a line for each path, schema and response: small, with readable diffs.
fn written(document: &Value) -> String {
    const PLACES: [&str; 3] = ["/paths", "/components/schemas", "/components/responses"];
    let lines = |value: &Value| {
        let fields = value.as_object().expect("an object").iter();
        let lines: Vec<String> =
            fields.map(|(name, value)| format!("{}:{value}", Value::from(name.as_str()))).collect();
        format!("{{\n{}\n}}", lines.join(",\n"))
    };
    let mut shell = document.clone();
    for place in PLACES {
        *shell.pointer_mut(place).expect("it is there") = place.into();
    }
    let fill = |text: String, place| {
        text.replace(&format!("\"{place}\""), &lines(document.pointer(place).expect("it is there")))
    };
    let text = PLACES.into_iter().fold(shell.to_string(), fill);
    format!("{text}\n")
}

/// With `UPDATE_OPENAPI` set, as `cargo xtask openapi` does, it writes the file instead.
#[test]
fn the_file_is_what_the_code_says() {
    let new = written(&document());
    assert_eq!(serde_json::from_str::<Value>(&new).expect("JSON"), document());
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        std::fs::write(file, new).expect("a writable file");
        return;
    }
    // As values: the order of an object's fields is up to serde_json's features, which other packages may turn on.
    let kept: Value = serde_json::from_str(super::DOCUMENT).expect("the file is JSON");
    assert!(kept == document(), "crates/core/openapi.json is not what the code says: run `cargo xtask openapi`");
}

#[test]
fn it_is_public() {
    let response = World::new().get("/v1/openapi.json").send();
    assert_eq!(response.status, 200);
    assert_eq!(response.header("content-type"), "application/json");
    assert_eq!(response.json(), document());
}

#[test]
fn every_route_of_the_api_is_in_it_and_no_other() {
    let document = document();
    let paths = document["paths"].as_object().expect("paths");
    let wanted: Vec<&Row> = Row::ALL.iter().filter(|route| route.audience == Audience::Api).collect();
    for route in &wanted {
        let methods = paths[&path(route)].as_object().expect("methods");
        let mut wanted: Vec<String> = described(route).map(str::to_lowercase).collect();
        wanted.sort();
        assert_eq!(methods.keys().cloned().collect::<Vec<_>>(), wanted, "{}", route.pattern);
    }
    assert_eq!(paths.len(), wanted.len());
}

#[test]
fn every_operation_with_a_key_says_so() {
    let document = document();
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for operation in methods.as_object().expect("methods").values() {
            let is_open = operation["security"].as_array().is_some_and(Vec::is_empty);
            assert_eq!(is_open, path == "/v1/openapi.json", "{path}");
            assert_eq!(operation["responses"].get("401").is_none(), is_open, "{path}");
        }
    }
}
