//! Tests only. The document: paths, methods and scopes come from the route table; statuses, headers and codes from the
//! responses to the errors.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::operation::{Answer, Body, Operation, operation};
use super::row::{Row, described, path};
use super::schema::Schemas;
use crate::crypto::session::COOKIE;
use crate::runtime::PlatformError;
use crate::values::RequestId;
use crate::web::{Audience, Error, Problem, Reply, Scope, View, preferred};

/// The parts that operations share.
#[derive(Default)]
struct Shared {
    /// The codes of all errors.
    codes: BTreeSet<&'static str>,
    /// The error responses, by the codes of the errors.
    responses: Map<String, Value>,
}

/// The whole document.
pub fn document() -> Value {
    let mut schemas = Schemas::new();
    let mut paths = Map::new();
    let mut shared = Shared::default();
    for route in Row::ALL {
        let mut methods = Map::new();
        for method in described(route) {
            let Some(operation) = operation(route, method, &mut schemas) else { continue };
            methods.insert(method.to_lowercase(), describe(route, &operation, &mut shared));
        }
        if !methods.is_empty() {
            let known = paths.entry(path(route)).or_insert_with(|| json!({}));
            known.as_object_mut().expect("methods").extend(methods);
        }
    }
    schemas.answer::<Problem<'_>>();
    let mut schemas = schemas.take();
    schemas["Problem"]["properties"]["code"]["enum"] = json!(shared.codes);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "wix-edge: the app API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The API of the Worker for the back end of a Wix app. Times are Unix seconds. New versions may add fields.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "headers": headers(),
            "responses": shared.responses,
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A key whose hash is in API_KEYS, with the scope of the operation.",
                },
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": COOKIE,
                    "description": "A session of the operator's console, from `signIn`. It counts only in a request without \
                                    `Authorization` that a page of the same origin sends (`Sec-Fetch-Site: same-origin`).",
                },
            },
        },
    })
}

fn describe(route: &Row, operation: &Operation, shared: &mut Shared) -> Value {
    let mut value = json!({
        "operationId": operation.id,
        "summary": operation.summary,
        "security": security(route),
        "responses": responses(route, operation, shared),
    });
    if !operation.description.is_empty() {
        value["description"] = operation.description.into();
    }
    if !operation.parameters.is_empty() {
        value["parameters"] = operation.parameters.clone().into();
    }
    match &operation.body {
        None => {}
        Some(Body::Json(schema)) => value["requestBody"] = json!({ "required": true, "content": json_content(schema) }),
        Some(Body::OptionalJson(schema)) => value["requestBody"] = json!({ "content": json_content(schema) }),
        Some(Body::Lines) => {
            let content = json!({ "application/x-ndjson": { "schema": { "type": "string" } } });
            value["requestBody"] = json!({ "required": true, "content": content });
        }
        Some(Body::Any) => {
            value["requestBody"] = json!({ "content": { "application/json": {}, "application/octet-stream": {} } });
        }
    }
    value
}

/// A session of the console may do what a key may, except for what needs a token, and another session.
fn security(route: &Row) -> Value {
    let Some(scope) = route.scope else { return json!([]) };
    let key = json!({ "key": [scope.name()] });
    if matches!(scope, Scope::Token | Scope::Proxy) || route.pattern == "/v1/session" {
        return json!([key]);
    }
    json!([key, { "session": [scope.name()] }])
}

fn json_content(schema: &Value) -> Value {
    json!({ "application/json": { "schema": schema } })
}

fn responses(route: &Row, operation: &Operation, shared: &mut Shared) -> Value {
    let mut responses = Map::new();
    let request_id = json!({ "x-request-id": header("x-request-id") });
    match &operation.answer {
        Answer::Json(description, schema) | Answer::Accepted(description, schema) => {
            let answer = json!({ "description": description, "headers": request_id, "content": json_content(schema) });
            let status = if matches!(operation.answer, Answer::Json(..)) { "200" } else { "202" };
            responses.insert(status.to_owned(), answer);
        }
        Answer::Lines(description) => {
            let content = json!({ "application/x-ndjson": {} });
            let answer = json!({ "description": description, "headers": request_id, "content": content });
            responses.insert("200".to_owned(), answer);
        }
        Answer::Session(description, schema) => {
            let headers = with_cookie(&request_id);
            let answer = json!({ "description": description, "headers": headers, "content": json_content(schema) });
            responses.insert("200".to_owned(), answer);
        }
        Answer::Cleared(description) => {
            let answer = json!({ "description": description, "headers": with_cookie(&request_id) });
            responses.insert("204".to_owned(), answer);
        }
        Answer::Nothing(description) => {
            responses.insert("204".to_owned(), json!({ "description": description, "headers": request_id }));
        }
        Answer::Wix => {
            let mut headers = request_id.clone();
            headers["retry-after"] = header("retry-after");
            headers["wix-edge-replay"] = header("wix-edge-replay");
            let description =
                "Wix's response, unchanged. It may also have one of the other statuses, without a problem document.";
            let answer = json!({ "description": description, "headers": headers, "content": { "*/*": {} } });
            responses.insert("default".to_owned(), answer);
        }
    }
    for (status, errors) in by_status(route, operation) {
        let codes: BTreeSet<&str> = errors.iter().map(|error| error.notice().code).collect();
        let mut name = codes.iter().copied().collect::<Vec<_>>().join(".");
        shared.codes.extend(codes);
        let mut response = problem(&errors);
        if matches!(operation.answer, Answer::Wix) {
            name.push_str(".or_wixs");
            response["content"]["*/*"] = json!({});
        }
        let reference = json!({ "$ref": format!("#/components/responses/{name}") });
        let same = shared.responses.entry(name).or_insert_with(|| response.clone());
        assert_eq!(*same, response, "two responses have one name");
        responses.insert(status.to_string(), reference);
    }
    responses.into()
}

fn with_cookie(headers: &Value) -> Value {
    let mut headers = headers.clone();
    headers["set-cookie"] = header("set-cookie");
    headers
}

/// The errors of the handler, and those that precede it.
fn by_status(route: &Row, operation: &Operation) -> BTreeMap<u16, Vec<Error>> {
    let mut errors = operation.errors.clone();
    errors.extend([
        Error::Misconfigured(Vec::new()),
        Error::Instance(PlatformError(String::new()).into()),
        Error::HttpsRequired,
    ]);
    if let Some(scope) = route.scope {
        errors.extend([Error::Unauthorized, Error::Forbidden(scope)]);
    }
    let mut by_status = BTreeMap::<u16, Vec<Error>>::new();
    for error in errors {
        by_status.entry(error.notice().status.as_u16()).or_default().push(error);
    }
    by_status
}

/// The response to any of these errors, which have one status.
fn problem(errors: &[Error]) -> Value {
    let titles: Vec<&str> = errors.iter().map(|error| error.notice().title).collect();
    let codes: Vec<&str> = errors.iter().map(|error| error.notice().code).collect();
    let mut headers = Map::from_iter([("x-request-id".to_owned(), header("x-request-id"))]);
    let mut content = Map::new();
    for error in errors {
        let request_id = RequestId::new([0; 16]);
        let view = View { texts: preferred(None), settings: None, start: None, request_id: &request_id };
        let reply = Reply::<()>::error(error, Audience::Api, &view);
        for (name, value) in reply.headers {
            if name == "content-type" {
                content.insert(
                    value.into_owned(),
                    json!({ "schema": { "allOf": [
                        { "$ref": "#/components/schemas/Problem" },
                        { "type": "object", "properties": { "code": { "type": "string", "enum": codes } } },
                    ] } }),
                );
            } else {
                headers.insert(name.to_owned(), header(name));
            }
        }
    }
    json!({ "description": format!("{}.", titles.join("; or: ")), "headers": headers, "content": content })
}

fn header(name: &str) -> Value {
    assert!(headers()[name].is_object(), "the header {name} is not described");
    json!({ "$ref": format!("#/components/headers/{name}") })
}

fn headers() -> Value {
    json!({
        "x-request-id": {
            "description": "The id of the request in the Worker's log.",
            "required": true,
            "schema": { "type": "string", "pattern": "^[0-9a-f]{32}$" },
        },
        "www-authenticate": { "required": true, "schema": { "type": "string", "const": "Bearer" } },
        "set-cookie": {
            "description": "The cookie of the console's session.",
            "required": true,
            "schema": { "type": "string" },
        },
        "retry-after": {
            "description": "Seconds to wait before a retry.",
            "schema": { "type": "string" },
        },
        "wix-edge-replay": {
            "description": "With a 401 of Wix's: the body was too long to be buffered and replayed. Send the call again.",
            "schema": { "type": "string" },
        },
    })
}
