//! Tests only. The request and the responses of each route of the app API, beyond what the route table says.

use serde_json::{Value, json};

use super::row::Row;
use super::schema::{self, Schemas};
use crate::delivery::EventPage;
use crate::facts::{Instance, Status};
use crate::instances::{Handoff, Identity, InstanceError};
use crate::routes::api::bi_events::BiEventSent;
use crate::routes::api::events::{EVENT_ID_LIMIT, ParkedPage, RedeliverRequest, Redelivering, TestEvent};
use crate::routes::api::handoffs::{HandoffRequest, KEY_LIMIT};
use crate::routes::api::instances::{CURSOR_LIMIT, InstancePage, PAGE_DEFAULT, PAGE_LIMIT, SEARCH_LIMIT};
use crate::routes::api::reconciliation::Reconciliation;
use crate::routes::api::session::Session;
use crate::routes::api::setup::FinishedConfiguration;
use crate::routes::api::statistics::{DAYS_DEFAULT, DAYS_LIMIT, Statistics};
use crate::routes::api::token::{TokenRequest, TokenResponse};
use crate::store::StoreError;
use crate::web::{Audience, Error};
use crate::wix::WixError;

/// One method of one route.
pub struct Operation {
    pub id: String,
    pub summary: &'static str,
    pub description: &'static str,
    pub parameters: Vec<Value>,
    /// The request body.
    pub body: Option<Body>,
    pub answer: Answer,
    /// One example of each error that the handler can return.
    pub errors: Vec<Error>,
}

/// A request body.
pub enum Body {
    /// Required JSON.
    Json(Value),
    /// Optional JSON.
    OptionalJson(Value),
    /// Required NDJSON.
    Lines,
    /// Any content.
    Any,
}

/// The successful response.
pub enum Answer {
    /// 200 with JSON: its description and schema.
    Json(&'static str, Value),
    /// 202 with JSON: its description and schema.
    Accepted(&'static str, Value),
    /// 200 with NDJSON: its description.
    Lines(&'static str),
    /// 204: its description.
    Nothing(&'static str),
    /// The same, with a cookie that clears one.
    Cleared(&'static str),
    /// 200 with JSON and a cookie: its description and schema.
    Session(&'static str, Value),
    /// Wix's response.
    Wix,
}

const BAD: Error = Error::BadRequest("", "");
const TOO_LARGE: Error = Error::TooLarge(0);

fn failed(error: impl Into<InstanceError>) -> Error {
    Error::Instance(error.into())
}

#[expect(clippy::too_many_lines, reason = "a table: one row for each operation")]
/// The operation of a route and a method. `None` for routes outside the app API.
pub fn operation(route: &Row, method: &str, schemas: &mut Schemas) -> Option<Operation> {
    if route.audience != Audience::Api {
        return None;
    }
    let store = || failed(StoreError::Failed(String::new()));
    let unknown = || failed(InstanceError::Unknown);
    let disabled = || failed(InstanceError::SetupDisabled);
    let wix_fails = || vec![failed(WixError::Failed(String::new())), failed(WixError::Deadline)];
    let no_token = || {
        let gone = vec![unknown(), failed(InstanceError::Removed), failed(InstanceError::NeedsReconnect), store()];
        let refused =
            vec![failed(InstanceError::RateLimited { wait_seconds: 0 }), failed(WixError::CredentialsRefused(401))];
        [gone, refused, wix_fails()].concat()
    };
    Some(match route.pattern {
        "/v1/instances" => Operation {
            id: "listInstances".to_owned(),
            summary: "Lists installations, page by page",
            description: "",
            parameters: list_parameters(schemas),
            body: None,
            answer: Answer::Json("A page.", schemas.answer::<InstancePage>()),
            errors: vec![BAD, store()],
        },
        "/v1/instances/{id}" if method == "DELETE" => Operation {
            id: "eraseInstance".to_owned(),
            summary: "Erases everything that is stored of an installation",
            description: "Record, tokens and events. The order to erase is kept sealed for ten minutes at most, since it is \
                          carried out once more when all data centres show what they have. A later event of Wix's begins \
                          anew.",
            parameters: vec![id_parameter()],
            body: None,
            answer: Answer::Nothing("Nothing is stored of the installation, whether it was known or not."),
            errors: vec![BAD, store()],
        },
        "/v1/instances/{id}" => Operation {
            id: "getInstance".to_owned(),
            summary: "Returns one installation",
            description: "",
            parameters: vec![id_parameter()],
            body: None,
            answer: Answer::Json("The installation.", schemas.answer::<Instance>()),
            errors: vec![BAD, unknown(), store()],
        },
        "/v1/instances/{id}/token" => Operation {
            id: "getToken".to_owned(),
            summary: "Returns a fresh access token",
            description: "Concurrent calls share one request to Wix.",
            parameters: vec![id_parameter()],
            body: Some(Body::OptionalJson(schemas.request::<TokenRequest>())),
            answer: Answer::Json("The token.", schemas.answer::<TokenResponse<'_>>()),
            errors: [vec![BAD, TOO_LARGE], no_token()].concat(),
        },
        "/v1/instances/{id}/finish-configuration" => Operation {
            id: "finishConfiguration".to_owned(),
            summary: "Tells Wix that the app is set up",
            description: "Sends `APP_FINISHED_CONFIGURATION` once for an installation. Repeated calls return the same response.",
            parameters: vec![id_parameter()],
            body: None,
            answer: Answer::Json("The event was sent.", schemas.answer::<FinishedConfiguration<'_>>()),
            errors: [vec![BAD, disabled()], no_token()].concat(),
        },
        "/v1/instances/{id}/bi-events" => Operation {
            id: "sendBiEvent".to_owned(),
            summary: "Sends a BI event",
            description: "The event is validated before it is sent. `APP_FINISHED_CONFIGURATION` is sent once for an \
                          installation, any other event with each call. An event whose response was lost is sent again, so \
                          that Wix may count it twice.",
            parameters: vec![id_parameter()],
            body: Some(Body::Json({
                let schema = schema::bi_event_request(schemas);
                schemas.own("BiEventRequest", schema)
            })),
            answer: Answer::Json("The event was sent.", schemas.answer::<BiEventSent<'_>>()),
            errors: [
                vec![
                    BAD,
                    TOO_LARGE,
                    disabled(),
                    failed(InstanceError::EventRefused),
                    failed(InstanceError::EventNotPermitted),
                ],
                no_token(),
            ]
            .concat(),
        },
        "/v1/identity" => Operation {
            id: "identify".to_owned(),
            summary: "Identifies the sender of a value that a front end passed on",
            description: "The Worker verifies a signed `instance`, and has Wix introspect an access token. It caches the result of an \
                          introspection for a minute.",
            parameters: Vec::new(),
            body: Some(Body::Json(schemas.own("IdentityRequest", schema::identity_request()))),
            answer: Answer::Json(
                "The identity, with the fields that the value contains.",
                schemas.answer::<Identity>(),
            ),
            errors: [vec![BAD, TOO_LARGE, failed(InstanceError::NotGenuine(""))], wix_fails()].concat(),
        },
        "/v1/handoffs" => Operation {
            id: "takeHandoff".to_owned(),
            summary: "Takes over an installation from the browser at the end of its flow",
            description: "The value of the parameter `handoff` of `AFTER_INSTALL_URL` is exchanged once, within five minutes. \
                          A repeated call with the same `idempotency-key` has the same response. `ref` is what anyone may \
                          have given to the start of the flow: compare it with the session of the customer whose browser \
                          brought the value. The text before the first dot of the value is the instance id.",
            parameters: vec![idempotency_key_parameter()],
            body: Some(Body::Json(schemas.request::<HandoffRequest>())),
            answer: Answer::Json("What the flow has established.", schemas.answer::<Handoff>()),
            errors: vec![BAD, TOO_LARGE, failed(InstanceError::NotGenuine("")), store()],
        },
        "/v1/instances/{id}/wix/…" => Operation {
            id: format!("wix{}{}", &method[..1], method[1..].to_lowercase()),
            summary: "Calls Wix's API with the installation's token",
            description: "The path, of one or more segments, and the query are Wix's. Bodies of any size are streamed.",
            parameters: vec![id_parameter(), wix_path_parameter()],
            body: (!matches!(method, "GET" | "HEAD")).then_some(Body::Any),
            answer: Answer::Wix,
            errors: [vec![BAD, TOO_LARGE, disabled()], no_token()].concat(),
        },
        "/v1/instances/{id}/events" => Operation {
            id: "listEvents".to_owned(),
            summary: "Lists the events of an installation, the newest first",
            description: "Only what is known of an event: its content goes to the app's back end and nowhere else.",
            parameters: [vec![id_parameter()], page_parameters("events", r"^[0-9]{1,16}$")].concat(),
            body: None,
            answer: Answer::Json("A page.", schemas.answer::<EventPage>()),
            errors: vec![BAD, unknown(), store()],
        },
        "/v1/instances/{id}/events/{event_id}/redeliver" => Operation {
            id: "redeliverEvent".to_owned(),
            summary: "Sends an event to the app's back end once more",
            description: "One attempt, at once, while the content of the event is kept. A pending event is attempted in its turn.",
            parameters: vec![id_parameter(), event_id_parameter()],
            body: None,
            answer: Answer::Accepted("The attempt begins.", schemas.answer::<Redelivering>()),
            errors: vec![
                BAD,
                unknown(),
                failed(InstanceError::UnknownEvent),
                failed(InstanceError::ErasedEvent),
                store(),
            ],
        },
        "/v1/parked-events" => Operation {
            id: "listParkedEvents".to_owned(),
            summary: "Lists the installations that have parked events",
            description: "An event is parked if the app's back end did not accept it for `EVENTS_KEEP_HOURS`. The list is \
                          eventually consistent.",
            parameters: page_parameters("installations", &format!("^[!-~]{{1,{CURSOR_LIMIT}}}$")),
            body: None,
            answer: Answer::Json("A page.", schemas.answer::<ParkedPage>()),
            errors: vec![BAD, store()],
        },
        "/v1/parked-events/redeliver" => Operation {
            id: "redeliverParkedEvents".to_owned(),
            summary: "Sends parked events to the app's back end once more",
            description: "One attempt each, of one installation or of all. An event that fails again stays parked.",
            parameters: Vec::new(),
            body: Some(Body::OptionalJson(schemas.request::<RedeliverRequest>())),
            answer: Answer::Accepted("The attempts begin.", schemas.answer::<Redelivering>()),
            errors: vec![BAD, TOO_LARGE, unknown(), store()],
        },
        "/v1/events/test" => Operation {
            id: "sendTestEvent".to_owned(),
            summary: "Sends a test event to the app's back end",
            description: "An event of no installation, with the type `wix-edge.test`, delivered like any other.",
            parameters: Vec::new(),
            body: None,
            answer: Answer::Accepted("The event is stored, and its delivery begins.", schemas.answer::<TestEvent>()),
            errors: vec![store()],
        },
        "/v1/reconciliation" => Operation {
            id: "getReconciliation".to_owned(),
            summary: "Returns what the comparison with Wix has found",
            description: "Every `RECHECK_HOURS` each installation is compared with Wix. In the present round and in the one \
                          before it: how many installations were compared, and how many lost installations, removals and \
                          changes of the plan were recorded.",
            parameters: Vec::new(),
            body: None,
            answer: Answer::Json("The figures.", schemas.answer::<Reconciliation>()),
            errors: vec![store()],
        },
        "/v1/statistics" => Operation {
            id: "getStatistics".to_owned(),
            summary: "Returns installs, removals and deliveries by day",
            description: "The latest days by UTC, the oldest first, without a gap. Needs Durable Objects.",
            parameters: vec![query("days", "How many days.", &days_schema())],
            body: None,
            answer: Answer::Json("The days.", schemas.answer::<Statistics>()),
            errors: vec![BAD, store()],
        },
        "/v1/session" if method == "DELETE" => Operation {
            id: "signOut".to_owned(),
            summary: "Signs the console out",
            description: "Clears the cookie, whether its session is valid or not.",
            parameters: Vec::new(),
            body: None,
            answer: Answer::Cleared("The cookie is cleared."),
            errors: Vec::new(),
        },
        "/v1/session" => Operation {
            id: "signIn".to_owned(),
            summary: "Signs the operator's console in",
            description: "Exchanges an API key of scope `admin` for a cookie that is valid for eight hours, as long as the \
                          key is. A session cannot be exchanged for another one.",
            parameters: Vec::new(),
            body: None,
            answer: Answer::Session("The session. Its cookie is in `set-cookie`.", schemas.answer::<Session>()),
            errors: Vec::new(),
        },
        "/v1/export" => Operation {
            id: "exportInstances".to_owned(),
            summary: "Returns all installations, page by page",
            description: "NDJSON: each line is an installation as `getInstance` returns it, without any secret. If there are more, \
                          the last line is `{\"next_cursor\":\"…\"}`.",
            parameters: vec![cursor_parameter(&format!("^[!-~]{{1,{CURSOR_LIMIT}}}$"))],
            body: None,
            answer: Answer::Lines("A page."),
            errors: vec![BAD, store()],
        },
        "/v1/import" => Operation {
            id: "importInstances".to_owned(),
            summary: "Imports installations that existed before",
            description: "NDJSON: each line is an object with `instance_id` and, where known, `refresh_token`, `site_id`, \
                          `installed_at` and `plan`. Other fields are ignored. Each line is answered while the rest is \
                          received, in order: `{\"line\",\"instance_id\",\"outcome\"}` with the outcome `imported`, `known`, \
                          `refused` (Wix refuses it), `invalid` with a `problem`, or `failed` (send the line again). An \
                          installation is recorded only if Wix confirms it. One request imports 40 installations, or 20 \
                          without Durable Objects; further ones are `failed`.",
            parameters: Vec::new(),
            body: Some(Body::Lines),
            answer: Answer::Lines("A line for each line that is not blank."),
            errors: vec![BAD],
        },
        "/v1/openapi.json" => Operation {
            id: "getDescription".to_owned(),
            summary: "Returns this description",
            description: "",
            parameters: Vec::new(),
            body: None,
            answer: Answer::Json("OpenAPI 3.1.", json!({ "type": "object", "required": ["openapi", "info", "paths"] })),
            errors: Vec::new(),
        },
        pattern => panic!("{pattern} is not described"),
    })
}

fn id_parameter() -> Value {
    json!({
        "name": "id",
        "in": "path",
        "required": true,
        "description": "The instance id, in upper or lower case.",
        "schema": { "type": "string", "format": "uuid", "not": { "const": "00000000-0000-0000-0000-000000000000" } },
    })
}

fn idempotency_key_parameter() -> Value {
    json!({
        "name": "idempotency-key",
        "in": "header",
        "description": "Who takes over, such as a random value of the customer's session.",
        "schema": { "type": "string", "pattern": format!("^[!-~]{{1,{KEY_LIMIT}}}$") },
    })
}

fn wix_path_parameter() -> Value {
    json!({
        "name": "path",
        "in": "path",
        "required": true,
        "description": "The path at Wix's API. Its slashes are not encoded.",
        "schema": { "type": "string", "minLength": 1 },
        "example": "apps/v1/instance",
    })
}

fn list_parameters(schemas: &mut Schemas) -> Vec<Value> {
    let status = "Returns only the installations with this status. Up to 10,000 are searched for a page, which may hold none \
                  and not be the last.";
    let search = "How the instance ids begin, in upper or lower case.";
    let beginning = json!({ "type": "string", "pattern": format!("^[0-9A-Fa-f-]{{0,{SEARCH_LIMIT}}}$") });
    let mut parameters =
        vec![query("search", search, &beginning), query("status", status, &schemas.answer::<Status>())];
    parameters.extend(page_parameters("installations", &format!("^[!-~]{{1,{CURSOR_LIMIT}}}$")));
    parameters
}

fn query(name: &str, description: &str, schema: &Value) -> Value {
    json!({ "name": name, "in": "query", "description": description, "schema": schema })
}

fn page_parameters(items: &str, cursor: &str) -> Vec<Value> {
    let limit = json!({
        "type": "integer",
        "minimum": PAGE_LIMIT.start(),
        "maximum": PAGE_LIMIT.end(),
        "default": PAGE_DEFAULT,
    });
    vec![cursor_parameter(cursor), query("limit", &format!("The largest number of {items} in the page."), &limit)]
}

fn days_schema() -> Value {
    json!({
        "type": "integer",
        "minimum": DAYS_LIMIT.start(),
        "maximum": DAYS_LIMIT.end(),
        "default": DAYS_DEFAULT,
    })
}

fn cursor_parameter(pattern: &str) -> Value {
    query("cursor", "The `next_cursor` of the previous page.", &json!({ "type": "string", "pattern": pattern }))
}

fn event_id_parameter() -> Value {
    json!({
        "name": "event_id",
        "in": "path",
        "required": true,
        "description": "The `webhook-id` of the event.",
        "schema": { "type": "string", "pattern": format!("^[A-Za-z0-9_-]{{1,{EVENT_ID_LIMIT}}}$") },
    })
}
