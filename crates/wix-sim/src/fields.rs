//! Parses request bodies (JSON objects, forms) and query strings into fields by name.

use std::collections::HashMap;

use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, Uri};
use serde_json::{Map, Value};

/// Whether `Content-Type` declares a form.
pub(crate) fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.trim_start().to_ascii_lowercase().starts_with("application/x-www-form-urlencoded")
}

/// The fields of a JSON object or a form; `None` if the body is neither.
pub(crate) fn read(headers: &HeaderMap, body: &[u8]) -> Option<Map<String, Value>> {
    if is_form(headers) {
        let fields = url::form_urlencoded::parse(body);
        return Some(fields.map(|(name, value)| (name.into_owned(), value.into_owned().into())).collect());
    }
    serde_json::from_slice(body).ok()
}

/// The parameters of a query. The first of repeated ones counts.
pub(crate) fn query(uri: &Uri) -> HashMap<String, String> {
    let mut fields = HashMap::new();
    for (name, value) in url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
        fields.entry(name.into_owned()).or_insert_with(|| value.into_owned());
    }
    fields
}

/// A string field, if it is present and not empty.
pub(crate) fn text<'a>(fields: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    fields.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
}
