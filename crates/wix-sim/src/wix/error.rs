//! Error responses in Wix's two forms: the OAuth form of section 1.2 and the REST form of section 9.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// An error response.
#[derive(Debug)]
pub(crate) struct WixError {
    status: StatusCode,
    body: Value,
}

/// An invalid field.
pub(crate) struct Violation {
    pub field: String,
    pub description: String,
    /// `FORMAT` with `data.expected`, or `CUSTOM` with the name of a rule.
    pub rule: Rule,
}

/// The rule that a field violates.
pub(crate) enum Rule {
    Format(&'static str),
    Custom(&'static str),
}

impl WixError {
    /// The OAuth form: `error` and `error_description`.
    pub(crate) fn oauth(status: u16, error: &str, description: &str) -> Self {
        Self { status: code(status), body: json!({"error": error, "error_description": description}) }
    }

    /// The REST form: an application error with its code.
    pub(crate) fn rest(status: u16, code_name: &str, message: &str) -> Self {
        let details = json!({"applicationError": {"code": code_name, "description": message, "data": {}}});
        Self { status: code(status), body: json!({"message": message, "details": details}) }
    }

    /// The REST form: a validation error with all invalid fields.
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

    /// The 401 for an API call without a valid token.
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
