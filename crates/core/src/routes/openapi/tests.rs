//! The OpenAPI document of the app API.

use std::path::Path;

use serde_json::Value;

use super::document::document;
use super::row::{Row, described, path};
use crate::testing::world::World;
use crate::web::Audience;

/// Writes the document on one line, with a line for each path, schema and response: short, and with readable diffs.
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
        *shell.pointer_mut(place).expect("the place") = place.into();
    }
    let fill = |text: String, place| {
        text.replace(&format!("\"{place}\""), &lines(document.pointer(place).expect("the place")))
    };
    let text = PLACES.into_iter().fold(shell.to_string(), fill);
    format!("{text}\n")
}

/// With `UPDATE_OPENAPI`, which `cargo xtask openapi` sets, it writes the file instead.
#[test]
fn the_file_is_what_the_code_says() {
    let new = written(&document());
    assert_eq!(serde_json::from_str::<Value>(&new).expect("JSON"), document());
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        std::fs::write(file, new).expect("a writable file");
        return;
    }
    // Compares values and not texts: features of serde_json that other packages enable change the order of fields.
    let committed: Value = serde_json::from_str(super::DOCUMENT).expect("the file must be JSON");
    assert!(committed == document(), "crates/core/openapi.json must match the code: run `cargo xtask openapi`");
}

#[test]
fn the_document_needs_no_key() {
    let response = World::new().get("/v1/openapi.json").send();
    assert_eq!(response.status, 200);
    assert_eq!(response.header("content-type"), "application/json");
    assert_eq!(response.json(), document());
}

#[test]
fn the_document_has_exactly_the_routes_of_the_app_api() {
    let document = document();
    let paths = document["paths"].as_object().expect("paths");
    let routes: Vec<&Row> = Row::ALL.iter().filter(|route| route.audience == Audience::Api).collect();
    let mut count = 0;
    for rows in routes.chunk_by(|one, other| one.pattern == other.pattern) {
        let methods = paths[&path(rows[0])].as_object().expect("methods");
        let mut wanted: Vec<String> = rows.iter().flat_map(|route| described(route)).map(str::to_lowercase).collect();
        wanted.sort();
        assert_eq!(methods.keys().cloned().collect::<Vec<_>>(), wanted, "{}", rows[0].pattern);
        count += 1;
    }
    assert_eq!(paths.len(), count);
}

#[test]
fn every_operation_that_needs_a_key_documents_it() {
    let document = document();
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for operation in methods.as_object().expect("methods").values() {
            let needs_no_key = operation["security"].as_array().is_some_and(Vec::is_empty);
            let is_open = path == "/v1/openapi.json" || operation["operationId"] == "signOut";
            assert_eq!(needs_no_key, is_open, "{path}");
            assert_eq!(operation["responses"].get("401").is_none(), needs_no_key, "{path}");
        }
    }
}
