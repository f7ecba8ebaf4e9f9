//! `POST /webhook`: Wix's events. 200 means that what must last is stored (Wix's rules 4 and 5).

use http::StatusCode;
use serde::Deserialize;

use crate::App;
use crate::doubt::SKEW;
use crate::error::Error;
use crate::id::{AppId, InstanceId};
use crate::json;
use crate::jwt;
use crate::kv::DEADLINE_MILLIS;
use crate::platform::Platform;
use crate::record::{Fact, Instance, Kind, Status};
use crate::reply::Reply;
use crate::request::Request;
use crate::task::{Outcome, Task};
use crate::time::Timestamp;
use crate::token::CHECK_AGAIN;

/// The largest body taken, in bytes.
pub const LIMIT: usize = 256 * 1024;

/// The second layer: what the JWT's `data` holds as text.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    event_type: String,
    #[serde(default)]
    instance_id: Option<String>,
    /// The third layer, as text; some senders may put an object.
    data: Option<Box<serde_json::value::RawValue>>,
}

/// An event that changes what is known of an instance, or any other one.
#[derive(Debug, PartialEq, Eq)]
enum Event {
    Installed { app: Option<AppId>, origin: Option<InstanceId> },
    Removed { app: Option<AppId> },
    Plan { plan: String },
    Other,
}

/// Verifies, stores, answers.
pub async fn webhook<P: Platform>(app: &App<P>, request: Request<P::Inbound>) -> Result<Outcome<P::Stream>, Error> {
    let body = app.platform.body(request.inbound, LIMIT).await.map_err(|error| Error::body(error, LIMIT))?;
    let claims = jwt::verify(&app.platform, &app.config().public_keys, app.now, &body).await?;
    let (instance, event) = parse(&claims.data)?;
    if let Some(instance) = &instance {
        app.trace.instance(instance);
    }
    match event {
        // The dashboard's test button sends sample data of another app: right to accept, wrong to keep.
        Event::Installed { app: Some(id), .. } | Event::Removed { app: Some(id) } if id != app.config().app_id => {
            Ok(accepted(app, "other_app_ignored"))
        }
        Event::Installed { origin, .. } => {
            let instance = instance.ok_or(NO_INSTANCE)?;
            store(app, &instance, claims.issued_at, Kind::Installed { origin }).await
        }
        Event::Removed { .. } => {
            let instance = instance.ok_or(NO_INSTANCE)?;
            store(app, &instance, claims.issued_at, Kind::Removed).await
        }
        Event::Plan { plan } => {
            let instance = instance.ok_or(NO_INSTANCE)?;
            store(app, &instance, claims.issued_at, Kind::Plan { plan }).await
        }
        Event::Other => match instance {
            Some(instance) => meet(app, &instance, claims.issued_at).await,
            None => Ok(accepted(app, "event_of_no_instance")),
        },
    }
}

const NO_INSTANCE: Error = Error::Message("the event names no instance");

fn accepted<P: Platform>(app: &App<P>, outcome: &'static str) -> Outcome<P::Stream> {
    app.trace.outcome(outcome);
    Reply::json(StatusCode::OK, &serde_json::Map::new()).into()
}

async fn store<P: Platform>(
    app: &App<P>,
    id: &InstanceId,
    at: Timestamp,
    kind: Kind,
) -> Result<Outcome<P::Stream>, Error> {
    let installed = matches!(kind, Kind::Installed { .. });
    let kv = app.kv().by(app.started_millis + DEADLINE_MILLIS);
    let learnt = match kind {
        Kind::Removed => kv.learn_removal(id, at, app.memory().tokens.value(id), app.now).await?,
        kind => kv.learn(id, Fact { at, kind }, app.now).await?,
    };
    if learnt.instance.status == Status::Removed {
        app.memory().forget(id);
    }
    if learnt.is_gone() {
        kv.erase_tokens(id).await?;
    }
    if installed && learnt.changed {
        app.memory().forgive(id);
    }
    let mut outcome = accepted(app, if learnt.changed { "stored" } else { "known" });
    let instance = learnt.instance;
    outcome.task = if installed && instance.is_to_be_finished(app.config()) {
        Some(Task::FinishConfiguration(id.clone()))
    } else {
        learnt.changed.then(|| Task::Settle(id.clone()))
    };
    Ok(outcome)
}

/// An event of a type that changes nothing here. Its signature still proves that the instance exists, so one whose
/// installation was never heard of is noted, and so is one that contradicts a removal.
async fn meet<P: Platform>(app: &App<P>, id: &InstanceId, at: Timestamp) -> Result<Outcome<P::Stream>, Error> {
    if app.memory().is_there(id, app.now) {
        return Ok(accepted(app, "event_accepted"));
    }
    match app.kv().instance(id).await? {
        Some(Instance { removed_at: None, .. }) => {
            app.memory().remember(id, app.now.plus(CHECK_AGAIN));
            return Ok(accepted(app, "event_accepted"));
        }
        Some(Instance { removed_at: Some(removed), .. }) if at.since(removed) <= SKEW => {
            return Ok(accepted(app, "event_accepted"));
        }
        _ => {}
    }
    store(app, id, at, Kind::Seen).await
}

fn parse(envelope: &str) -> Result<(Option<InstanceId>, Event), Error> {
    let envelope: Envelope = json::object(envelope.as_bytes())
        .map_err(|_| Error::Message("the claim `data` is not a JSON envelope with an eventType"))?;
    let instance = match envelope.instance_id.as_deref() {
        None | Some("") => None,
        Some(text) => InstanceId::parse(text).ok(),
    };
    let event = match envelope.event_type.as_str() {
        "AppInstalled" => {
            #[derive(Deserialize)]
            #[serde(rename_all = "camelCase")]
            struct Data {
                app_id: Option<String>,
                origin_instance_id: Option<String>,
            }
            let data: Data = inner(envelope.data.as_deref())?;
            let origin = data.origin_instance_id.and_then(|id| InstanceId::parse(&id).ok());
            Event::Installed { app: data.app_id.and_then(|id| AppId::parse(&id).ok()), origin }
        }
        "AppRemoved" => {
            #[derive(Deserialize)]
            #[serde(rename_all = "camelCase")]
            struct Data {
                app_id: Option<String>,
            }
            let data: Data = inner(envelope.data.as_deref())?;
            Event::Removed { app: data.app_id.and_then(|id| AppId::parse(&id).ok()) }
        }
        "PaidPlanPurchased" | "PaidPlanChanged" | "PlanConvertedToPaid" | "PlanReactivated" | "PlanTransferred" => {
            #[derive(Deserialize)]
            #[serde(rename_all = "camelCase")]
            struct Data {
                vendor_product_id: String,
            }
            let data: Data = inner(envelope.data.as_deref())?;
            let plan = data.vendor_product_id;
            if plan.chars().count() > PLAN_LIMIT || plan.chars().any(char::is_control) {
                return Err(Error::Message("the event's vendorProductId is not of the documented form"));
            }
            Event::Plan { plan }
        }
        _ => Event::Other,
    };
    Ok((instance, event))
}

/// Characters in a `vendorProductId` (Wix's rules 5). It is kept in metadata, of which KV takes 1024 bytes.
const PLAN_LIMIT: usize = 100;

/// The third layer: JSON in a text, or the object itself.
fn inner<T: serde::de::DeserializeOwned>(data: Option<&serde_json::value::RawValue>) -> Result<T, Error> {
    const PROBLEM: Error = Error::Message("the event's inner `data` is missing or not of the documented form");
    let data = data.ok_or(PROBLEM)?.get();
    if data.starts_with('"') {
        let text: String = serde_json::from_slice(data.as_bytes()).map_err(|_| PROBLEM)?;
        json::object(text.as_bytes()).map_err(|_| PROBLEM)
    } else {
        json::object(data.as_bytes()).map_err(|_| PROBLEM)
    }
}

#[cfg(test)]
#[path = "webhook_tests.rs"]
mod tests;
