//! Refusals in Wix's two shapes: the OAuth one of section 1.2 and the REST one of section 9.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// A refusal.
#[derive(Debug)]
pub(crate) struct WixError {
    status: StatusCode,
    body: Value,
}

/// A field that was refused, and why.
pub(crate) struct Violation {
    pub field: String,
    pub description: String,
    /// `FORMAT` with `data.expected`, or `CUSTOM` with a rule's name.
    pub rule: Rule,
}

/// The rule that a field broke.
pub(crate) enum Rule {
    Format(&'static str),
    Custom(&'static str),
}

impl WixError {
    /// `error` and `error_description`.
    pub(crate) fn oauth(status: u16, error: &str, description: &str) -> Self {
        Self { status: code(status), body: json!({"error": error, "error_description": description}) }
    }

    /// An application error with its code.
    pub(crate) fn rest(status: u16, code_name: &str, message: &str) -> Self {
        let details = json!({"applicationError": {"code": code_name, "description": message, "data": {}}});
        Self { status: code(status), body: json!({"message": message, "details": details}) }
    }

    /// A validation error with every field that was refused.
    pub(crate) fn validation(violations: &[Violation]) -> Self {
        let list: Vec<Value> = violations
            .iter()
            .map(|violation| {
                let Violation { field, description, rule } = violation;
                match rule {
                    Rule::Format(expected) => json!({
                        "field": field,
                        "description": description,
                        "violatedRule": "FORMAT",
                        "data": {"expected": expected},
                    }),
                    Rule::Custom(name) => json!({
                        "field": field,
                        "description": description,
                        "violatedRule": "CUSTOM",
                        "ruleName": name,
                        "data": {},
                    }),
                }
            })
            .collect();
        let message =
            violations.iter().map(|v| format!("{} {}", v.field, v.description)).collect::<Vec<_>>().join(", ");
        Self {
            status: StatusCode::BAD_REQUEST,
            body: json!({"message": message, "details": {"validationError": {"fieldViolations": list}}}),
        }
    }

    /// 401 of an API call without a valid token.
    pub(crate) fn unauthenticated(message: &str) -> Self {
        Self::rest(401, "UNAUTHENTICATED", message)
    }
}

fn code(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

impl IntoResponse for WixError {
    fn into_response(self) -> Response {
        (self.status, Json(self.body)).into_response()
    }
}
