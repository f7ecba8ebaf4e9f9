//! Instances that are to be looked at again, in the order of their time.

use std::cell::RefCell;

use serde::{Deserialize, Serialize};

use super::{Kv, Write, to_json};
use crate::error::Error;
use crate::id::InstanceId;
use crate::platform::Platform;
use crate::time::Timestamp;

const PREFIX: &str = "v1:todo:";
/// When an instance is looked at again after a change, in seconds: KV shows a change everywhere within a minute or so.
pub const LOOK_AGAIN: u64 = 120;

/// An instance that is to be looked at again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Todo {
    /// The key.
    pub key: String,
    /// The instance.
    pub instance: InstanceId,
    /// From when on.
    pub due: Timestamp,
    /// How often it was looked at in vain, and since when.
    pub tries: Tries,
}

/// The recheck that a request has stored, so that the work after its response need not store another one.
#[derive(Debug, Default)]
pub struct Recheck(RefCell<Option<(InstanceId, Timestamp)>>);

impl Recheck {
    /// How much earlier than its own a write's recheck may come, in seconds: KV shows a change within a minute or so.
    const EARLIER: u64 = 30;

    /// Whether there is one that comes late enough for a write of now.
    pub(super) fn serves(&self, id: &InstanceId, now: Timestamp) -> bool {
        let stored = self.0.borrow();
        stored.as_ref().is_some_and(|(of, due)| of == id && *due >= now.plus(LOOK_AGAIN - Self::EARLIER))
    }

    pub(super) fn stored(&self, id: &InstanceId, due: Timestamp) {
        *self.0.borrow_mut() = Some((id.clone(), due));
    }
}

/// See [`Todo`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tries {
    /// When it was first put down.
    pub since: Timestamp,
    /// How many.
    pub failed: u32,
}

impl<P: Platform> Kv<'_, P> {
    /// The instances that are to be looked at again by now, the most overdue first.
    pub async fn todos(&self, now: Timestamp, limit: u16) -> Result<Vec<Todo>, Error> {
        let page = self.within(self.platform.kv_list(PREFIX, None, limit)).await?;
        let todos = page.keys.into_iter().filter_map(|key| parse_todo(key.name, key.metadata.as_deref()));
        Ok(todos.take_while(|todo| todo.due <= now).collect())
    }

    /// Puts an instance down to be looked at again.
    pub async fn put_todo(&self, id: &InstanceId, due: Timestamp, tries: Tries) -> Result<(), Error> {
        self.write(&[todo(id, due, tries)?]).await
    }

    /// Crosses one out.
    pub async fn delete_todo(&self, todo: &Todo) -> Result<(), Error> {
        self.within(self.platform.kv_delete(&todo.key)).await
    }
}

/// In the order of their time, so that a listing begins with what is due.
pub(super) fn todo(id: &InstanceId, due: Timestamp, tries: Tries) -> Result<Write, Error> {
    let text = to_json(&tries)?;
    Ok(Write { metadata: Some(text.clone()), ..Write::new(format!("{PREFIX}{:012}:{id}", due.0), text) })
}

fn parse_todo(key: String, metadata: Option<&str>) -> Option<Todo> {
    let (due, id) = key.strip_prefix(PREFIX)?.split_once(':')?;
    let (due, instance) = (Timestamp(due.parse().ok()?), InstanceId::parse(id).ok()?);
    let tries = metadata.and_then(|text| serde_json::from_slice(text.as_bytes()).ok());
    Some(Todo { key, instance, due, tries: tries.unwrap_or(Tries { since: due, failed: 0 }) })
}
