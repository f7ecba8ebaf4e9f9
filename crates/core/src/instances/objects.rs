//! The work of an object that concerns more than its own storage: the list of parked events in KV, and the redelivery of all
//! of them.

use super::{InstanceError, Ports};
use crate::delivery::{Installation, ObjectPorts, Objects, Parked, command, requests};
use crate::store::{KvNamespace, ParkedEvents, Store};
use crate::values::InstanceId;

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

/// Lists how many events of an object are parked, if that has changed.
pub async fn list_object<P: ObjectPlatform>(
    object: &Installation<'_, P>,
    store: &Store<'_, P>,
) -> Result<(), InstanceError> {
    let Some((name, parked)) = object.unlisted_parked()? else { return Ok(()) };
    // Objects have the ids of installations and of the app, which are GUIDs.
    let Ok(instance_id) = InstanceId::parse(&name) else { return Ok(()) };
    match parked {
        Some(Parked { parked, oldest_at }) => {
            store.put_parked(&ParkedEvents { instance_id, parked, oldest_at }).await?;
        }
        None => store.delete_parked(&instance_id).await?,
    }
    object.listed_parked(parked)?;
    Ok(())
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
