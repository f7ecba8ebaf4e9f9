//! The object is given the facts of its installation, and tells the app each change once.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::about::{About, Told};
use super::change::changes;
use super::queue::{Bounds, Queue};
use super::{AcceptError, Event, Installation, MessageError, ObjectPorts};
use crate::facts::{Fact, Name, State, Status, fold, is_contested, join, latest};
use crate::values::{InstanceId, json};

/// The message to the object.
#[derive(Serialize)]
struct Sent<'a> {
    instance_id: &'a InstanceId,
    facts: &'a [Fact],
}

#[derive(Deserialize)]
struct Received<'a> {
    instance_id: InstanceId,
    #[serde(borrow)]
    facts: Vec<&'a RawValue>,
}

/// The text for the object.
#[must_use]
pub fn to_message(id: &InstanceId, facts: &[Fact]) -> Option<String> {
    serde_json::to_string(&Sent { instance_id: id, facts }).ok()
}

impl<P: ObjectPorts> Installation<'_, P> {
    /// Joins the facts with those that the object has, and stores an event for each change that the app was not told yet.
    /// The facts may come again and in any order: they may also be older than those that the object has.
    pub async fn report(&self, message: &str) -> Result<(), AcceptError> {
        self.join(message, true).await
    }

    /// Joins the facts of an import. The app knows the installation, so that its state counts as told.
    pub async fn adopt(&self, message: &str) -> Result<(), AcceptError> {
        self.join(message, false).await
    }

    async fn join(&self, message: &str, tells: bool) -> Result<(), AcceptError> {
        let Received { instance_id: id, facts } = json::parse(message).map_err(|_| MessageError)?;
        let facts = facts.into_iter().filter_map(|fact| Fact::from_json(fact.get()));
        let alarm = self.ports.alarm().await?;
        // Nothing is awaited from here on.
        let (queue, about) = (Queue::open(self.ports)?, About::open(self.ports)?);
        self.begin(&about, id.as_str())?;
        let known = about.told()?;
        let is_first = known.is_none();
        let before = known.as_ref().map(|known| known.facts.clone());
        let mut joined = before.clone().unwrap_or_default();
        facts.for_each(|fact| join(&mut joined, fact));
        let Some(instance) = fold(&id, &joined) else { return Ok(()) };
        let told = known.map_or_else(|| State::baseline(&id, &joined), |known| known.state);

        // Wix is asked about a contested removal, and the answer is a fact that comes later.
        let is_decided = !is_contested(&joined);
        let (mut changes, state) = if is_decided { changes(&told, &instance) } else { (Vec::new(), told.clone()) };
        changes.retain(|_| tells);
        // As the app API shows it.
        let data = serde_json::to_string(&instance.clone().valid_at(self.time())).map_err(|_| MessageError)?;
        let now = self.now();
        let mut events = Vec::new();
        for change in changes.iter().filter(|change| self.settings.wants(change.event_type())) {
            let at = change.at(&instance, &joined).unwrap_or_else(|| self.time());
            let event = Event::own(change.event_type(), Some(&id), at, &data, &self.token()?);
            events.push(event.ok_or(MessageError)?);
        }
        // What the tokens were issued for has ended. The next one copies what KV has by then.
        let is_gone = instance.status == Status::Removed && is_decided;
        let connected = |facts: &[Fact]| latest(facts, Name::Connected).map(|fact| fact.at);
        if is_gone || before.as_deref().is_some_and(|before| connected(before) != connected(&joined)) {
            about.erase_tokens()?;
        }
        if before.as_ref() != Some(&joined) || state != told {
            let counted = self.report_of(&changes, &instance, &joined)?;
            let told = Told { facts: joined.clone(), state };
            let mut look = queue.look(Bounds::default())?;
            self.ports.transaction(&mut || {
                events.iter().try_for_each(|event| queue.add(event, now, &mut look))?;
                counted.iter().try_for_each(|report| self.add_report(&about, report))?;
                about.set_told(&told)
            })?;
        }
        let deleted = latest(&joined, Name::Deleted).map(|fact| fact.at);
        let is_removed = instance.status == Status::Removed;
        self.note_end(&about, deleted.filter(|_| is_removed))?;
        if !changes.is_empty() || is_first {
            self.guard(alarm, self.wake()?)?;
        }
        Ok(())
    }
}
