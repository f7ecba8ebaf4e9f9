//! The work of an object that concerns more than its own storage: the list of parked events in KV, the redelivery of all of
//! them, the comparison and the import of its installation.

use futures::future::LocalBoxFuture;

use super::compare::compare;
use super::import::import_line;
use super::{Context, ImportOutcome, InstanceError, Line, OwnObject, Ports};
use crate::delivery::{
    AcceptError, Comparison, Installation, ObjectCallError, ObjectPorts, Objects, Parked, command, report, requests,
};
use crate::facts::Fact;
use crate::store::{KvNamespace, ParkedEvents, Repaired, Store, StoreError};
use crate::values::{AppId, InstanceId, Timestamp};

/// How many objects one invocation asks. The free plan allows 50 subrequests.
const OBJECTS: u16 = 40;
/// How long they may take together, in milliseconds.
const TIMEOUT: u64 = 20_000;

/// Everything that such work needs.
pub trait ObjectPlatform: ObjectPorts + Objects + KvNamespace + HasWorker {}

impl<P: ObjectPorts + Objects + KvNamespace + HasWorker> ObjectPlatform for P {}

/// An object can do what the Worker does for an installation. Its invocation has limits of its own.
pub trait HasWorker {
    /// The ports of the Worker.
    type Worker: Ports;
    /// The Worker, in this invocation of the object.
    fn worker(&self) -> &Self::Worker;
}

/// Lists how many events of an object are parked, if that has changed. `false` if the object was erased meanwhile.
pub async fn list_object<P: ObjectPlatform>(
    object: &Installation<'_, P>,
    store: &Store<'_, P>,
) -> Result<bool, InstanceError> {
    let Some((name, parked)) = object.unlisted_parked()? else { return Ok(true) };
    // Objects have the ids of installations and of the app, which are GUIDs.
    let Ok(instance_id) = InstanceId::parse(&name) else { return Ok(true) };
    match parked {
        Some(Parked { parked, oldest_at }) => {
            store.put_parked(&ParkedEvents { instance_id, parked, oldest_at }).await?;
        }
        None => store.delete_parked(&instance_id).await?,
    }
    if object.erase_if_new().await? {
        return Ok(false);
    }
    object.listed_parked(parked)?;
    Ok(true)
}

/// Asks the next objects in the list to redeliver their parked events, if the app's object is to do so. Returns whether it was.
/// `failed` is called for each object that does not.
pub async fn redeliver_next<P: ObjectPlatform>(
    ports: &P,
    object: &Installation<'_, P>,
    store: &Store<'_, P>,
    failed: impl Fn(&InstanceId, InstanceError),
) -> Result<bool, InstanceError> {
    let Some(cursor) = object.redelivery()? else { return Ok(false) };
    let (listed, next) = store.parked(Some(cursor.as_str()).filter(|cursor| !cursor.is_empty()), OBJECTS).await?;
    let deadline = ports.now_millis() + TIMEOUT;
    for ParkedEvents { instance_id, .. } in listed {
        let name = instance_id.as_str();
        if let Err(error) = command(ports, name, requests::REDELIVER_PARKED, "", deadline).await {
            failed(&instance_id, error.into());
        }
    }
    object.set_redelivery(next.as_deref())?;
    Ok(true)
}

/// Imports the installation of an object. Its state counts as told to the app.
pub async fn import_object<P: ObjectPlatform>(
    object: &Installation<'_, P>,
    cx: &Context<'_, P::Worker>,
    line: &Line,
) -> ImportOutcome {
    let adopt = async |id: &InstanceId, facts: &[Fact]| told(object.adopt(&message(id, facts)?).await);
    let outcome = import_line(cx, line, adopt).await;
    // Without this comparison, the next one finds the same later.
    if outcome == ImportOutcome::Imported {
        cx.note(object.compare_soon(&line.instance).await);
    }
    outcome
}

/// Compares the installation of an object with Wix, and lets the app's object count it. `now` is the time at which it is due,
/// which the clock of another Worker may tell.
pub async fn compare_due<P: ObjectPlatform>(
    ports: &P,
    object: &Installation<'_, P>,
    cx: &Context<'_, P::Worker>,
    id: &InstanceId,
    now: Timestamp,
) -> Result<(), InstanceError> {
    let earlier = object.uncounted()?;
    let compared = match compare(cx, id).await {
        Ok(compared) => compared,
        Err(error) => {
            object.note_comparison(&Comparison::Failed, earlier, now).await?;
            return Err(error);
        }
    };
    let Some(compared) = compared else {
        let done = Comparison::Done { is_checked: false, repaired: Repaired::default() };
        return Ok(object.note_comparison(&done, earlier, now).await?);
    };
    if compared.repaired.any() {
        cx.trace().outcome("repaired");
    }
    let repaired = compared.repaired.or(earlier.unwrap_or_default());
    let body = serde_json::to_string(&repaired).map_err(|_| StoreError::NotJson)?;
    let app = cx.settings.wix.app_id.as_str();
    let counted = command(ports, app, requests::COUNT, &body, ports.now_millis() + TIMEOUT).await;
    let uncounted = counted.is_err().then_some(repaired);
    let done = Comparison::Done { is_checked: compared.is_checked, repaired: compared.repaired };
    object.note_comparison(&done, uncounted, now).await?;
    counted.map(|_| ()).map_err(Into::into)
}

/// Lets the app's object count what has happened, if that is due.
pub async fn report_statistics<P: ObjectPlatform>(
    ports: &P,
    object: &Installation<'_, P>,
    app: &AppId,
) -> Result<(), InstanceError> {
    let Some(reports) = object.take_reports()? else { return Ok(()) };
    if object.is_app()? {
        return told(object.count_reports(&reports));
    }
    let counted = command(ports, app.as_str(), requests::COUNT_DAYS, &reports, ports.now_millis() + TIMEOUT).await;
    object.note_reported(&reports, counted.is_ok()).await?;
    counted.map(|_| ()).map_err(Into::into)
}

/// The report of facts.
fn message(id: &InstanceId, facts: &[Fact]) -> Result<String, InstanceError> {
    Ok(report::to_message(id, facts).ok_or(StoreError::NotJson)?)
}

fn told(result: Result<(), AcceptError>) -> Result<(), InstanceError> {
    result.map_err(|error| ObjectCallError::Failed(error.to_string()).into())
}

impl<P: ObjectPorts> OwnObject for Installation<'_, P> {
    fn report<'a>(&'a self, message: &'a str) -> LocalBoxFuture<'a, Result<(), AcceptError>> {
        Box::pin(Self::report(self, message))
    }
}
