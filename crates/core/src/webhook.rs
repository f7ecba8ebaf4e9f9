//! `POST /webhook`: Wix's events. 200 means that what must last is stored (Wix's rules 4 and 5).

use http::StatusCode;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::App;
use crate::doubt::SKEW;
use crate::error::Error;
use crate::id::{AppId, InstanceId};
use crate::json;
use crate::jwt;
use crate::kv::{DEADLINE_MILLIS, Kv};
use crate::platform::Platform;
use crate::record::{Fact, Instance, Kind, Status};
use crate::reply::Reply;
use crate::request::Request;
use crate::task::{Outcome, Task};
use crate::time::Timestamp;
use crate::token::CHECK_AGAIN;

/// The largest body taken, in bytes. Objects of Wix's reach half of that, and base64 adds a third.
pub const LIMIT: usize = 1024 * 1024;

/// The second layer: what the JWT's `data` holds as text.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    event_type: String,
    #[serde(default)]
    instance_id: Value,
    /// The third layer, as text; some senders may put an object.
    data: Option<Box<RawValue>>,
    identity: Option<IgnoredAny>,
    webhook_id: Option<IgnoredAny>,
}

impl Envelope {
    /// The third layer's text, where it is one.
    fn text(&self) -> Option<String> {
        serde_json::from_str(self.data.as_ref()?.get()).ok()
    }

    /// The third layer. Every field of it is optional, as Wix's types have it; so is all of it.
    fn inner<T: DeserializeOwned + Default>(&self) -> T {
        let read = match (self.text(), &self.data) {
            (Some(text), _) => json::object(text.as_bytes()),
            (None, Some(data)) => json::object(data.get().as_bytes()),
            (None, None) => return T::default(),
        };
        read.unwrap_or_default()
    }

    /// Whether it looks like a message of the dashboard's test button: sample data in several lines, and of nobody
    /// (Wix's rules 4.1).
    fn is_sample(&self) -> bool {
        self.identity.is_none()
            && self.webhook_id.is_none()
            && self.text().is_some_and(|text| text.contains('\n') || text.ends_with(' '))
    }
}

/// An event that changes what is known of an instance, or any other one.
#[derive(Debug, PartialEq, Eq)]
enum Event {
    Installed {
        origin: Option<InstanceId>,
    },
    Removed,
    Plan {
        plan: String,
    },
    /// One that names another app.
    OfAnotherApp,
    Other,
}

/// What a message is about.
struct Message {
    instance: Option<InstanceId>,
    event: Event,
    /// Whether the dashboard's test button may have sent it.
    is_sample: bool,
}

/// Verifies, stores, answers.
pub async fn webhook<P: Platform>(app: &App<P>, request: Request<P::Inbound>) -> Result<Outcome<P::Stream>, Error> {
    let jws = app.platform.hold_jws(request.inbound, jwt::limits(LIMIT)).await;
    let jws = jws.map_err(|error| Error::body(error, LIMIT))?;
    let claims = jwt::verify(&app.platform, &app.config().public_keys, app.now(), jws).await?;
    let Message { instance, event, is_sample } = parse(&app.config().app_id, &claims.data)?;
    if let Some(instance) = &instance {
        app.trace.instance(instance);
    }
    let kind = match event {
        Event::OfAnotherApp => return Ok(accepted(app, "other_app_ignored")),
        // Right to accept, wrong to keep: these name no app, and the instance is made up.
        Event::Other | Event::Plan { .. } if is_sample && is_unknown(app, instance.as_ref()).await? => {
            return Ok(accepted(app, "sample_ignored"));
        }
        Event::Other => {
            return match instance {
                Some(instance) => meet(app, &instance, claims.issued_at).await,
                None => Ok(accepted(app, "event_of_no_instance")),
            };
        }
        Event::Installed { origin } => Kind::Installed { origin },
        Event::Removed => Kind::Removed,
        Event::Plan { plan } => Kind::Plan { plan },
    };
    store(app, &instance.ok_or(NO_INSTANCE)?, claims.issued_at, kind).await
}

/// The records, for as long as Wix waits.
fn in_time<P: Platform>(app: &App<P>) -> Kv<'_, P> {
    app.kv().by(app.started_millis + DEADLINE_MILLIS)
}

async fn is_unknown<P: Platform>(app: &App<P>, id: Option<&InstanceId>) -> Result<bool, Error> {
    match id {
        Some(id) => Ok(in_time(app).instance(id).await?.is_none()),
        None => Ok(true),
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
    let kv = in_time(app);
    let learnt = match kind {
        Kind::Removed => kv.learn_removal(id, at, app.memory().tokens.value(id), app.now()).await?,
        kind => kv.learn(id, Fact::new(at, kind), app.now()).await?,
    };
    if learnt.instance.status == Status::Removed {
        app.memory().forget(id);
    }
    if learnt.is_gone() {
        kv.erase_tokens(id).await?;
    }
    if installed && learnt.changed {
        app.memory().clear_cool_down(id);
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
    if app.memory().is_there(id, app.now()) {
        return Ok(accepted(app, "event_accepted"));
    }
    match in_time(app).instance(id).await? {
        Some(Instance { removed_at: None, .. }) => {
            app.memory().remember(id, app.now().plus(CHECK_AGAIN));
            return Ok(accepted(app, "event_accepted"));
        }
        Some(Instance { removed_at: Some(removed), .. }) if at.since(removed) <= SKEW => {
            return Ok(accepted(app, "event_accepted"));
        }
        _ => {}
    }
    store(app, id, at, Kind::Seen).await
}

fn parse(app: &AppId, envelope: &str) -> Result<Message, Error> {
    let envelope: Envelope = json::object(envelope.as_bytes())
        .map_err(|_| Error::Message("the claim `data` is not a JSON envelope with an eventType"))?;
    let instance = envelope.instance_id.as_str().and_then(|id| InstanceId::parse(id).ok());
    let event = match envelope.event_type.as_str() {
        "AppInstalled" | "AppRemoved" => {
            let Lifecycle { app_id, origin_instance_id } = envelope.inner();
            let is_installed = envelope.event_type == "AppInstalled";
            // An id that is no GUID is nobody's, and so not ours.
            if !app_id.is_null() && app_id.as_str().and_then(|id| AppId::parse(id).ok()).as_ref() != Some(app) {
                Event::OfAnotherApp
            } else if is_installed {
                Event::Installed { origin: origin_instance_id.as_str().and_then(|id| InstanceId::parse(id).ok()) }
            } else {
                Event::Removed
            }
        }
        "PaidPlanPurchased" | "PaidPlanChanged" | "PlanConvertedToPaid" | "PlanReactivated" | "PlanTransferred" => {
            let Bought { vendor_product_id } = envelope.inner();
            match vendor_product_id.as_str() {
                Some(plan) if is_plan(plan) => Event::Plan { plan: plan.to_owned() },
                // Nothing to keep of it but that the instance exists.
                _ => Event::Other,
            }
        }
        _ => Event::Other,
    };
    Ok(Message { instance, event, is_sample: envelope.is_sample() })
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Lifecycle {
    app_id: Value,
    origin_instance_id: Value,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Bought {
    vendor_product_id: Value,
}

/// Characters in a `vendorProductId` (Wix's rules 5). It is kept in metadata, of which KV takes 1024 bytes.
const PLAN_LIMIT: usize = 100;

fn is_plan(text: &str) -> bool {
    !text.is_empty() && text.chars().count() <= PLAN_LIMIT && !text.chars().any(char::is_control)
}

#[cfg(test)]
#[path = "webhook_tests.rs"]
mod tests;
