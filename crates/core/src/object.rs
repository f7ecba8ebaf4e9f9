//! The ways in for the object of an installation: a request of the Worker's, the delivery after it, and the alarm.

use crate::config::Config;
use crate::delivery::{AcceptError, CompareRequest, Installation, MessageError, ObjectPorts, ObjectReply, requests};
use crate::instances::{
    self, Cache, Context, InstanceError, Line, ObjectPlatform, OwnObject, TokenRequest, Work, answer_issued,
    answer_permits, answer_token, compare_due, import_object, list_object, redeliver_next, report_statistics,
};
use crate::runtime::{Clock, Entropy, Level, Log, PlatformError};
use crate::store::Store;
use crate::values::{InstanceId, Timestamp, json};
use crate::{Shared, new_trace};

/// How long an object waits before it repeats something that failed, in milliseconds.
const OBJECT_RETRY: u64 = 60_000;

/// Answers a request of the Worker's to the object of an installation.
pub async fn object_fetch<P: ObjectPlatform>(ports: &P, shared: &Shared, path: &str, body: &str) -> ObjectReply {
    let Ok(config) = &shared.config else { return ObjectReply::new(503, "not_configured") };
    let answered = match path {
        requests::IMPORT => import(ports, config, &shared.cache, body).await,
        requests::COMPARE => compare(ports, config, &shared.cache, body).await,
        requests::PERMITS => permits(ports, config, &shared.cache, body),
        requests::ISSUED => issued(ports, config, &shared.cache, body).await,
        requests::TOKEN => token(ports, config, &shared.cache, body).await,
        _ => installation(ports, config).answer(path, body).await,
    };
    match answered {
        Ok(answer) => answer,
        Err(AcceptError::Message(_)) => ObjectReply::new(400, "malformed"),
        Err(AcceptError::Platform(error)) => {
            log_failure(ports, "object request", None, &error.into());
            ObjectReply::new(503, "store_failed")
        }
    }
}

async fn import<P: ObjectPlatform>(
    ports: &P,
    config: &Config,
    cache: &Cache,
    body: &str,
) -> Result<ObjectReply, AcceptError> {
    let work = work(ports, config, "object import");
    let object = installation(ports, config);
    let cx = context(ports, config, cache, &work, &object);
    let line = Line::parse(body, cx.now()).map_err(|_| MessageError)?;
    Ok(ObjectReply::new(200, import_object(&object, &cx, &line).await.as_str()))
}

/// A fresh access token. The line of the Worker has what Wix said; one of the object is for what failed beside that.
async fn token<P: ObjectPlatform>(
    ports: &P,
    config: &Config,
    cache: &Cache,
    body: &str,
) -> Result<ObjectReply, AcceptError> {
    let request = TokenRequest::parse(body)?;
    let work = work(ports, config, "object token");
    work.trace.instance(&request.instance_id);
    let object = installation(ports, config);
    let cx = context(ports, config, cache, &work, &object);
    let reply = answer_token(&object, &cx, &request).await;
    if cx.trace().is_notable() {
        cx.trace().write(ports, None);
    }
    reply
}

/// Permits for calls to Wix.
fn permits<P: ObjectPlatform>(
    ports: &P,
    config: &Config,
    cache: &Cache,
    body: &str,
) -> Result<ObjectReply, AcceptError> {
    let (work, object) = (work(ports, config, "object permits"), installation(ports, config));
    Ok(answer_permits(&context(ports, config, cache, &work, &object), body)?)
}

/// When the access token was issued that the object keeps.
async fn issued<P: ObjectPlatform>(
    ports: &P,
    config: &Config,
    cache: &Cache,
    body: &str,
) -> Result<ObjectReply, AcceptError> {
    let id = InstanceId::parse(body).map_err(|_| MessageError)?;
    let (work, object) = (work(ports, config, "object token"), installation(ports, config));
    let answer = answer_issued(&context(ports, config, cache, &work, &object), &id).await;
    answer.map_err(|error| PlatformError(error.to_string()).into())
}

/// The log line of a request to the object.
fn work<P: Clock + Entropy>(ports: &P, config: &Config, name: &'static str) -> Work {
    Work::new(new_trace(ports, name, config.instances.log_level).0)
}

/// What a use case may use in an object.
fn context<'a, P: ObjectPlatform>(
    ports: &'a P,
    config: &'a Config,
    cache: &'a Cache,
    work: &'a Work,
    object: &'a dyn OwnObject,
) -> Context<'a, P::Worker> {
    Context { platform: ports.worker(), settings: &config.instances, cache, work, own: Some(object) }
}

/// Compares the installation with Wix if that is due at the Worker's time, which may be ahead of the object's alarm.
async fn compare<P: ObjectPlatform>(
    ports: &P,
    config: &Config,
    cache: &Cache,
    body: &str,
) -> Result<ObjectReply, AcceptError> {
    let request: CompareRequest = json::parse(body).map_err(|_| MessageError)?;
    let object = installation(ports, config);
    let now = object.time().max(request.now);
    if !object.is_comparison_due(&request.instance_id, now)? {
        return Ok(ObjectReply::new(200, "not_due"));
    }
    let is_done = compare_now(ports, config, cache, &request.instance_id, now).await;
    let (status, text) = if is_done { (200, "compared") } else { (503, "failed") };
    Ok(ObjectReply { delivers: true, ..ObjectReply::new(status, text) })
}

/// Compares the installation with Wix, with a log line if something was wrong. Whether that succeeded.
async fn compare_now<P: ObjectPlatform>(
    ports: &P,
    config: &Config,
    cache: &Cache,
    id: &InstanceId,
    now: Timestamp,
) -> bool {
    let work = work(ports, config, "object compare");
    work.trace.instance(id);
    let object = installation(ports, config);
    let cx = context(ports, config, cache, &work, &object);
    let result = compare_due(ports, &object, &cx, id, now).await;
    let is_done = result.is_ok();
    cx.note(result);
    if cx.trace().is_notable() {
        cx.trace().write(ports, None);
    }
    is_done
}

/// Delivers the events of an object that are due, after a request that may have made one due.
pub async fn object_deliver<P: ObjectPlatform>(ports: &P, shared: &Shared) {
    let Ok(config) = &shared.config else { return };
    let object = installation(ports, config);
    match object.deliver().await {
        Ok(true) => {
            if list_parked(ports, config, &object).await {
                count(ports, config, &object).await;
            }
        }
        // The object was erased, and stays empty.
        Ok(false) => {}
        Err(error) => log_failure(ports, "object deliver", None, &error.into()),
    }
}

/// Runs the alarm of an object.
pub async fn object_alarm<P: ObjectPlatform>(ports: &P, shared: &Shared) {
    /// How long the object waits for the configuration to be corrected, in milliseconds.
    const MISCONFIGURED: u64 = 300_000;
    let note = |error: &InstanceError| log_failure(ports, "object alarm", None, error);
    let Ok(config) = &shared.config else {
        if let Err(error) = ports.set_alarm(ports.now_millis() + MISCONFIGURED) {
            note(&error.into());
        }
        return;
    };
    let (object, store) = (installation(ports, config), store_of_object(ports, config));
    // Before the object forgets events, or ends.
    count(ports, config, &object).await;
    match end(&object, &store).await {
        Ok(true) => return,
        Ok(false) => {}
        Err(error) => note(&error),
    }
    match object.due_comparison(object.time()) {
        Ok(Some(id)) => {
            compare_now(ports, config, &shared.cache, &id, object.time()).await;
        }
        Ok(None) => {}
        Err(error) => note(&error.into()),
    }
    let failed = |id: &InstanceId, error| log_failure(ports, "object redeliver", Some(id), &error);
    let wake_within = match redeliver_next(ports, &object, &store, failed).await {
        // The subrequests of this invocation are used up.
        Ok(true) => return object.wake_within(0).await.unwrap_or_else(|error| note(&error.into())),
        Ok(false) => None,
        Err(error) => {
            note(&error);
            Some(OBJECT_RETRY)
        }
    };
    match object.wake_up().await {
        Ok(true) if list_parked(ports, config, &object).await => {}
        Ok(_) => return,
        Err(error) => note(&error.into()),
    }
    if let Some(millis) = wake_within
        && let Err(error) = object.wake_within(millis).await
    {
        note(&error.into());
    }
}

/// Ends the object of an installation that was deleted. Returns whether it has ended.
async fn end<P: ObjectPlatform>(object: &Installation<'_, P>, store: &Store<'_, P>) -> Result<bool, InstanceError> {
    let Some(id) = object.is_over()? else { return Ok(false) };
    store.delete_parked(&id).await?;
    object.erase().await?;
    Ok(true)
}

fn installation<'a, P: ObjectPorts>(ports: &'a P, config: &'a Config) -> Installation<'a, P> {
    let instances::Settings { events, wix, clock_offset_seconds, log_level, .. } = &config.instances;
    Installation::new(ports, events, &wix.app_id, *clock_offset_seconds, *log_level)
}

fn store_of_object<'a, P: ObjectPlatform>(ports: &'a P, config: &'a Config) -> Store<'a, P> {
    let instances::Settings { keys, wix, setup, .. } = &config.instances;
    Store::new(ports, keys, &wix.app_id, *setup)
}

/// Brings the list of parked events up to date. After an error the alarm does it again. `false` if the object was erased
/// meanwhile, and stays empty.
async fn list_parked<P: ObjectPlatform>(ports: &P, config: &Config, object: &Installation<'_, P>) -> bool {
    let error = match list_object(object, &store_of_object(ports, config)).await {
        Ok(is_there) => return is_there,
        Err(error) => error,
    };
    log_failure(ports, "object parked", None, &error);
    if let Err(error) = object.wake_within(OBJECT_RETRY).await {
        log_failure(ports, "object parked", None, &error.into());
    }
    true
}

/// Lets the app's object count what has happened. After an error the alarm does it again.
async fn count<P: ObjectPlatform>(ports: &P, config: &Config, object: &Installation<'_, P>) {
    if let Err(error) = report_statistics(ports, object, &config.instances.wix.app_id).await {
        log_failure(ports, "object count", None, &error);
    }
}

/// Writes a log line of work in an object that failed. Each attempt to deliver has a line of its own.
fn log_failure<P: Clock + Entropy + Log>(
    ports: &P,
    name: &'static str,
    id: Option<&InstanceId>,
    error: &InstanceError,
) {
    let (trace, _) = new_trace(ports, name, Level::Error);
    if let Some(id) = id {
        trace.instance(id);
    }
    trace.error("store_failed", error.cause());
    trace.write(ports, None);
}
