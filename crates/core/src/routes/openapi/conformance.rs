//! Tests only. Compares every response of the app API in the tests with the document.

use std::sync::LazyLock;

use http::Method;
use serde_json::Value;

use super::DOCUMENT;
use super::row::{Row, described, path};
use crate::web::Audience;

static KEPT: LazyLock<Value> = LazyLock::new(|| serde_json::from_str(DOCUMENT).expect("the document is JSON"));

/// Checks one response.
///
/// # Panics
/// If its status, its content type or the code of its problem is not described.
pub fn check(route: &Row, method: &Method, status: u16, headers: &[(&'static str, String)], body: &str) {
    let is_allowed = described(route).any(|allowed| allowed == method.as_str());
    if route.audience != Audience::Api || !is_allowed {
        return;
    }
    let name = format!("{method} {}", path(route));
    let operation = &KEPT["paths"][path(route)][method.as_str().to_lowercase()];
    let responses = operation["responses"].as_object().unwrap_or_else(|| panic!("{name} is not described"));
    let response = responses.get(&status.to_string()).or_else(|| responses.get("default"));
    let response = response.unwrap_or_else(|| panic!("{name}: {status} is not described: {body}"));
    let reference = response["$ref"].as_str().and_then(|reference| reference.strip_prefix('#'));
    let response = reference.map_or(response, |place| KEPT.pointer(place).expect("what is referred to is there"));

    let content_type = headers.iter().find(|(name, _)| *name == "content-type").map(|(_, value)| value.as_str());
    let Some(content_type) = content_type else { return };
    let content = &response["content"];
    let of_type = content.get(content_type);
    let described = of_type.or_else(|| content.get("*/*"));
    assert!(described.is_some(), "{name}: {status} with {content_type} is not described: {body}");
    if content_type == "application/problem+json" && method != Method::HEAD {
        let problem: Value = serde_json::from_str(body).expect("a problem is JSON");
        let codes = of_type.and_then(|content| content.pointer("/schema/allOf/1/properties/code/enum"));
        let known = codes.and_then(Value::as_array).is_some_and(|codes| codes.contains(&problem["code"]));
        assert!(known, "{name}: {status} with this code is not described: {body}");
    }
}
