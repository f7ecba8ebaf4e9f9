//! The document, put together: paths, methods and scopes from the route table, statuses, headers and codes from the
//! errors as they are answered.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::operation::{Answer, Body, Operation, operation};
use super::schema::Schemas;
use crate::error::Error;
use crate::id::RequestId;
use crate::reply::{Audience, Problem, Reply};
use crate::route::Route;

/// The path of a route, as OpenAPI has it.
pub fn path(route: Route) -> String {
    route.name().replace('…', "{path}")
}

/// What the operations have in common.
#[derive(Default)]
struct Shared {
    /// Of all errors.
    codes: BTreeSet<&'static str>,
    /// The answers that tell of errors, by the errors' codes.
    responses: Map<String, Value>,
}

/// All of it.
pub fn document() -> Value {
    let mut schemas = Schemas::new();
    let mut paths = Map::new();
    let mut shared = Shared::default();
    for route in Route::ALL {
        let mut methods = Map::new();
        for method in route.described() {
            let Some(operation) = operation(route, method, &mut schemas) else { continue };
            methods.insert(method.to_lowercase(), describe(route, &operation, &mut shared));
        }
        if !methods.is_empty() {
            paths.insert(path(route), methods.into());
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
            "description": "What the back end of a Wix app asks its Worker. Times are Unix seconds. Fields may be added.",
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
                    "description": "One of the keys whose hashes are in API_KEYS, which also says what each is for.",
                },
            },
        },
    })
}

fn describe(route: Route, operation: &Operation, shared: &mut Shared) -> Value {
    let mut value = json!({
        "operationId": operation.id,
        "summary": operation.summary,
        "security": route.scope().map_or(json!([]), |scope| json!([{ "key": [scope.name()] }])),
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
        Some(Body::Any) => {
            value["requestBody"] = json!({ "content": { "application/json": {}, "application/octet-stream": {} } });
        }
    }
    value
}

fn json_content(schema: &Value) -> Value {
    json!({ "application/json": { "schema": schema } })
}

fn responses(route: Route, operation: &Operation, shared: &mut Shared) -> Value {
    let mut responses = Map::new();
    let request_id = json!({ "x-request-id": header("x-request-id") });
    match &operation.answer {
        Answer::Json(description, schema) => {
            let answer = json!({ "description": description, "headers": request_id, "content": json_content(schema) });
            responses.insert("200".to_owned(), answer);
        }
        Answer::Wix => {
            let mut headers = request_id.clone();
            headers["retry-after"] = header("retry-after");
            headers["wix-edge-replay"] = header("wix-edge-replay");
            let description = "Wix's answer as it is; also any of the other statuses, where it is not a problem.";
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

/// The errors of the handler, and those that come before it.
fn by_status(route: Route, operation: &Operation) -> BTreeMap<u16, Vec<Error>> {
    let mut errors = operation.errors.clone();
    errors.extend([Error::Misconfigured(Vec::new()), Error::Internal(String::new()), Error::HttpsRequired]);
    if let Some(scope) = route.scope() {
        errors.extend([Error::Unauthorized, Error::Forbidden(scope)]);
    }
    let mut by_status = BTreeMap::<u16, Vec<Error>>::new();
    for error in errors {
        by_status.entry(error.notice().status.as_u16()).or_default().push(error);
    }
    by_status
}

/// What the caller gets for any of these errors, which have one status.
fn problem(errors: &[Error]) -> Value {
    let titles: Vec<&str> = errors.iter().map(|error| error.notice().title).collect();
    let codes: Vec<&str> = errors.iter().map(|error| error.notice().code).collect();
    let mut headers = Map::from_iter([("x-request-id".to_owned(), header("x-request-id"))]);
    let mut content = Map::new();
    for error in errors {
        let reply = Reply::error(error, Audience::Api, &RequestId::new([0; 16]));
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
            "description": "Finds the line in the Worker's log.",
            "required": true,
            "schema": { "type": "string", "pattern": "^[0-9a-f]{32}$" },
        },
        "www-authenticate": { "required": true, "schema": { "type": "string", "const": "Bearer" } },
        "retry-after": {
            "description": "Seconds until it may be tried again.",
            "schema": { "type": "string" },
        },
        "wix-edge-replay": {
            "description": "With a 401 of Wix's: the body was too long to be kept; send the call again.",
            "schema": { "type": "string" },
        },
    })
}
