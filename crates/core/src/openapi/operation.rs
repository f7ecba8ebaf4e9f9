//! What each route of the app API is asked and answers, besides what the route table says of it.

use serde_json::{Value, json};

use super::schema::{self, Schemas};
use crate::api::{self, CURSOR_LIMIT, PAGE_DEFAULT, PAGE_LIMIT};
use crate::error::Error;
use crate::identity::Identity;
use crate::record::{Instance, Status};
use crate::route::Route;

/// One method of one route.
pub struct Operation {
    pub id: String,
    pub summary: &'static str,
    pub description: &'static str,
    pub parameters: Vec<Value>,
    /// The body's schema.
    pub body: Option<Body>,
    pub answer: Answer,
    /// One of each kind that the handler itself can come to.
    pub errors: Vec<Error>,
}

/// What may be sent.
pub enum Body {
    /// JSON that must be there.
    Json(Value),
    /// JSON that may be left out.
    OptionalJson(Value),
    /// Anything.
    Any,
}

/// What comes back if all is well.
pub enum Answer {
    /// 200, with JSON: what it is, and its schema.
    Json(&'static str, Value),
    /// Wix's own.
    Wix,
}

const BAD: Error = Error::BadRequest("", "");
const TOO_LARGE: Error = Error::TooLarge(0);

/// The operation of a route and a method; none for what is not of the API.
pub fn operation(route: Route, method: &str, schemas: &mut Schemas) -> Option<Operation> {
    let store = || Error::Store(String::new());
    let wix_fails = || vec![Error::WixFailed(String::new()), Error::WixTimeout];
    let no_token = || {
        let gone = vec![Error::UnknownInstance, Error::RemovedInstance, Error::NeedsReconnect, store()];
        [gone, vec![Error::CredentialsRefused(401)], wix_fails()].concat()
    };
    Some(match route {
        Route::Instances => Operation {
            id: "listInstances".to_owned(),
            summary: "Installations, a page at a time",
            description: "",
            parameters: list_parameters(schemas),
            body: None,
            answer: Answer::Json("A page.", schemas.answer::<api::ListAnswer>()),
            errors: vec![BAD, store()],
        },
        Route::Instance => Operation {
            id: "getInstance".to_owned(),
            summary: "One installation",
            description: "",
            parameters: vec![id_parameter()],
            body: None,
            answer: Answer::Json("What is known of it.", schemas.answer::<Instance>()),
            errors: vec![BAD, Error::UnknownInstance, store()],
        },
        Route::Token => Operation {
            id: "getToken".to_owned(),
            summary: "An access token with life left",
            description: "Many callers at once make one request to Wix.",
            parameters: vec![id_parameter()],
            body: Some(Body::OptionalJson(schemas.asked::<api::TokenRequest>())),
            answer: Answer::Json("The token.", schemas.answer::<api::TokenAnswer<'_>>()),
            errors: [vec![BAD, TOO_LARGE], no_token()].concat(),
        },
        Route::FinishConfiguration => Operation {
            id: "finishConfiguration".to_owned(),
            summary: "Tells Wix that the app is set up",
            description: "Sends `APP_FINISHED_CONFIGURATION` once for an installation; asked again, the answer is the same.",
            parameters: vec![id_parameter()],
            body: None,
            answer: Answer::Json("Wix knows.", schemas.answer::<api::FinishAnswer<'_>>()),
            errors: [vec![BAD, Error::FinishDisabled], no_token()].concat(),
        },
        Route::BiEvents => Operation {
            id: "sendBiEvent".to_owned(),
            summary: "Sends one of Wix's BI events",
            description: "It is checked before it is sent. `APP_FINISHED_CONFIGURATION` is sent once; any other each time \
                          it is asked for, and again where Wix's answer was lost, so that Wix may count it twice.",
            parameters: vec![id_parameter()],
            body: Some(Body::Json({
                let schema = schema::bi_event_request(schemas);
                schemas.own("BiEventRequest", schema)
            })),
            answer: Answer::Json("It was sent.", schemas.answer::<crate::bi_event::SentAnswer<'_>>()),
            errors: [
                vec![BAD, TOO_LARGE, Error::FinishDisabled, Error::EventRefused, Error::EventNotPermitted],
                no_token(),
            ]
            .concat(),
        },
        Route::Identity => Operation {
            id: "identify".to_owned(),
            summary: "Whose a value is that a front end sent",
            description: "A signed `instance` is checked here, an access token by Wix, whose word is remembered for a minute.",
            parameters: Vec::new(),
            body: Some(Body::Json(schemas.own("IdentityRequest", schema::identity_request()))),
            answer: Answer::Json("Whose it is, as far as it says.", schemas.answer::<Identity>()),
            errors: [vec![BAD, TOO_LARGE, Error::NotGenuine("")], wix_fails()].concat(),
        },
        Route::Wix => Operation {
            id: format!("wix{}{}", &method[..1], method[1..].to_lowercase()),
            summary: "A call to Wix's API with the installation's token",
            description: "The path, which may have many segments, and the query are Wix's; bodies of any size pass as they come.",
            parameters: vec![id_parameter(), wix_path_parameter()],
            body: (!matches!(method, "GET" | "HEAD")).then_some(Body::Any),
            answer: Answer::Wix,
            errors: [vec![BAD, TOO_LARGE, Error::FinishDisabled], no_token()].concat(),
        },
        Route::Openapi => Operation {
            id: "getDescription".to_owned(),
            summary: "This description",
            description: "",
            parameters: Vec::new(),
            body: None,
            answer: Answer::Json("OpenAPI 3.1.", json!({ "type": "object", "required": ["openapi", "info", "paths"] })),
            errors: Vec::new(),
        },
        Route::Home
        | Route::Healthz
        | Route::Readyz
        | Route::Install
        | Route::Redirect
        | Route::Connect
        | Route::Connected
        | Route::ConnectedDone
        | Route::Webhook
        | Route::UnknownApi
        | Route::Unknown => return None,
    })
}

fn id_parameter() -> Value {
    json!({
        "name": "id",
        "in": "path",
        "required": true,
        "description": "The instance id, in either case.",
        "schema": { "type": "string", "format": "uuid", "not": { "const": "00000000-0000-0000-0000-000000000000" } },
    })
}

fn wix_path_parameter() -> Value {
    json!({
        "name": "path",
        "in": "path",
        "required": true,
        "description": "The path at Wix's API. Slashes in it stay slashes.",
        "schema": { "type": "string", "minLength": 1 },
        "example": "apps/v1/instance",
    })
}

fn list_parameters(schemas: &mut Schemas) -> Vec<Value> {
    let query = |name: &str, description: &str, schema: Value| json!({ "name": name, "in": "query", "description": description, "schema": schema });
    vec![
        query("status", "Those alone that stand there.", schemas.answer::<Status>()),
        query(
            "cursor",
            "`next_cursor` of the page before.",
            json!({ "type": "string", "pattern": format!("^[!-~]{{1,{CURSOR_LIMIT}}}$") }),
        ),
        query(
            "limit",
            "How many instances a page may hold.",
            json!({
                "type": "integer",
                "minimum": PAGE_LIMIT.start(),
                "maximum": PAGE_LIMIT.end(),
                "default": PAGE_DEFAULT,
            }),
        ),
    ]
}
