//! Facts and rows in KV: how a fact is recorded, and how a stale row is repaired (`facts.rs` defines both).

use std::time::Duration;

use futures::future::{try_join, try_join_all};

use super::kv::{self, Write, to_json};
use super::recheck::recheck_write;
use super::{Attempts, KvNamespace, RECHECK_AFTER, Store, StoreError, keys};
use crate::crypto::Crypto;
use crate::facts::{
    Before, Fact, Instance, Kind, Name, Row, State, Status, are_same, is_contested, join, latest, outdated,
};
use crate::runtime::{Clock, Entropy};
use crate::values::{CLOCK_SKEW, InstanceId, Timestamp};

/// The pause before a second write to the same key. KV allows one write per second and key.
pub const BETWEEN_WRITES: Duration = Duration::from_millis(1_100);
/// How often one reconciliation repairs a row before it leaves the rest to the next recheck.
const REPAIR_ATTEMPTS: u32 = 3;
/// How long after the end of a period Wix is asked what the site has now, in seconds. Wix may take a while to renew it.
const AFTER_END: u64 = 600;
/// How many facts one listing returns. An instance has far fewer, since superseded facts are deleted.
const FACTS: u16 = 1000;
/// The longest metadata of a key, in bytes.
const METADATA: usize = 1024;

/// What is known of an instance after a fact was recorded.
pub struct Recorded {
    /// The instance.
    pub instance: Instance,
    /// The facts that it was folded from.
    pub facts: Vec<Fact>,
    /// Whether a fact or the row changed.
    pub changed: bool,
    /// Whether the removal is contested: Wix must be asked before tokens are erased.
    pub contested: bool,
    /// The latest removal, even if an installation followed it.
    pub removed: Option<Timestamp>,
}

impl Recorded {
    /// Whether the tokens must be erased.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.instance.status == Status::Removed && !self.contested
    }
}

/// One batch of facts and tokens.
struct News<'a> {
    facts: Vec<Fact>,
    /// Sealed tokens, which are not written if the app is removed.
    tokens: Vec<Write>,
    now: Timestamp,
    /// Whether the recheck is stored before everything else, so that a known fact proves that there is one.
    recheck_first: bool,
    /// Whether the object of the instance looks at it again, so that no recheck is needed.
    is_rechecked: bool,
    id: &'a InstanceId,
}

impl<'a> News<'a> {
    fn new(id: &'a InstanceId, facts: Vec<Fact>, now: Timestamp) -> Self {
        Self { facts, tokens: Vec::new(), now, recheck_first: false, is_rechecked: false, id }
    }
}

/// Listed facts with their keys.
type Listed = Vec<(String, Fact)>;

impl<P: KvNamespace + Clock + Crypto + Entropy> Store<'_, P> {
    /// The instance, from its row. A row that cannot be read is folded again from the facts.
    pub async fn instance(&self, id: &InstanceId) -> Result<Option<Instance>, StoreError> {
        if let Some(own) = self.own {
            return kv::own(own.instance());
        }
        let Some(text) = self.get(&keys::row(id)).await? else { return Ok(None) };
        match Row::read(id, &text) {
            Some(row) => Ok(Some(row.instance)),
            None => self.folded(id).await,
        }
    }

    pub(super) async fn row(&self, id: &InstanceId) -> Result<Option<Row>, StoreError> {
        let Some(text) = self.get(&keys::row(id)).await? else { return Ok(None) };
        let row = Row::read(id, &text);
        if row.is_none() {
            self.note_unreadable();
        }
        Ok(row)
    }

    /// What the row has, with one read. `None` if there is none, or if it cannot be read.
    pub async fn recorded(&self, id: &InstanceId) -> Result<Option<Recorded>, StoreError> {
        let Some(Row { instance, facts, .. }) = self.row(id).await? else { return Ok(None) };
        let removed = latest(&facts, Name::Removed).map(|fact| fact.at);
        Ok(Some(Recorded { contested: is_contested(&facts), instance, facts, changed: false, removed }))
    }

    /// The instance, folded from its facts. It costs a listing, so that only rows that may be stale are read this way.
    pub async fn folded(&self, id: &InstanceId) -> Result<Option<Instance>, StoreError> {
        if let Some(own) = self.own {
            return kv::own(own.instance());
        }
        let (listed, row) = try_join(self.facts(id), self.row(id)).await?;
        let facts = joined(row.as_ref(), &listed);
        Ok(next_row(id, row, facts).map(|row| row.instance))
    }

    pub(super) async fn facts(&self, id: &InstanceId) -> Result<Listed, StoreError> {
        let prefix = keys::facts(id);
        let page = self.within(self.platform.kv_list(&prefix, None, FACTS)).await?;
        let mut facts = Vec::new();
        for key in page.keys {
            let text = match key.metadata {
                Some(text) => Some(text),
                // A fact that is longer than metadata may be.
                None => self.get(&key.name).await?,
            };
            facts.extend(text.and_then(|text| Fact::from_json(&text)).map(|fact| (key.name, fact)));
        }
        Ok(facts)
    }

    /// Whether facts are stored and their row includes them. Costs a read for each and one more, and no listing.
    pub async fn knows(&self, id: &InstanceId, facts: &[Fact]) -> Result<bool, StoreError> {
        let Some((first, others)) = facts.split_first() else { return Ok(true) };
        let key = keys::fact(id, first)?;
        let (stored, row) = try_join(self.get(&key), self.row(id)).await?;
        let Some(row) = row else { return Ok(false) };
        let knows = |fact: &Fact, stored: Option<String>| {
            let known = latest(&row.facts, fact.kind.name());
            // A later fact of the kind supersedes this one, which is then deleted.
            known > Some(fact) || (stored.is_some() && known == Some(fact))
        };
        let mut is_known = knows(first, stored);
        for fact in others {
            is_known = is_known && knows(fact, self.get(&keys::fact(id, fact)?).await?);
        }
        Ok(is_known)
    }

    /// Records a fact. A known or superseded fact is not written again, so that a repeated message costs no write.
    ///
    /// The same batch stores a recheck: another writer may change the row at the same time, and KV may return stale reads.
    /// See [`Self::reconcile`].
    pub async fn record(&self, id: &InstanceId, fact: Fact, now: Timestamp) -> Result<Recorded, StoreError> {
        self.record_all(News::new(id, vec![fact], now)).await
    }

    /// Records facts of one message.
    pub async fn record_facts(
        &self,
        id: &InstanceId,
        facts: Vec<Fact>,
        now: Timestamp,
    ) -> Result<Recorded, StoreError> {
        self.record_all(News::new(id, facts, now)).await
    }

    /// Records the facts that end a flow, with its sealed tokens. The recheck is stored first: a browser may open the end of a
    /// flow repeatedly, and a known fact then needs no write.
    pub(super) async fn record_flow(
        &self,
        id: &InstanceId,
        facts: Vec<Fact>,
        now: Timestamp,
        tokens: Vec<Write>,
    ) -> Result<Recorded, StoreError> {
        self.record_all(News { tokens, recheck_first: true, ..News::new(id, facts, now) }).await
    }

    /// Records the facts of an import, with its sealed tokens.
    pub(super) async fn record_imported(
        &self,
        id: &InstanceId,
        facts: Vec<Fact>,
        now: Timestamp,
        tokens: Vec<Write>,
        is_rechecked: bool,
    ) -> Result<Recorded, StoreError> {
        self.record_all(News { tokens, recheck_first: true, is_rechecked, ..News::new(id, facts, now) }).await
    }

    /// Records the facts that end an external install flow, which has no tokens.
    pub async fn record_external_flow(
        &self,
        id: &InstanceId,
        facts: Vec<Fact>,
        now: Timestamp,
    ) -> Result<Recorded, StoreError> {
        self.record_flow(id, facts, now, Vec::new()).await
    }

    async fn record_all(&self, news: News<'_>) -> Result<Recorded, StoreError> {
        let News { facts: new_facts, tokens, now, recheck_first, is_rechecked, id } = news;
        let (listed, row) = try_join(self.facts(id), self.row(id)).await?;
        let mut facts = joined(row.as_ref(), &listed);
        let recorded_ms = self.platform.now_millis();
        let before = self.reports.then(|| Before { recorded_ms, state: State::fold(id, &facts) });
        let mut writes = Vec::new();
        for fact in new_facts {
            if listed.iter().any(|(_, known)| is_known_by(&fact, known)) {
                continue;
            }
            // What Wix says of a site, and a `ref`, change nothing that is told, and fill the metadata.
            let is_told = !matches!(fact.kind.name(), Name::Described | Name::Referred);
            join(&mut facts, fact.clone().with_before(before.clone().filter(|_| is_told)));
            if !is_kept(&facts, &fact) {
                continue;
            }
            // A known fact of the kind may have an earlier state before.
            let before = latest(&facts, fact.kind.name()).and_then(|latest| latest.before.clone());
            let fact = fact.with_before(before);
            let text = fact.recorded_at(recorded_ms)?;
            let key = keys::fact(id, &fact)?;
            let metadata = (text.len() <= METADATA).then(|| text.clone());
            writes.push(Write { metadata, ..Write::new(key, text) });
        }
        let (changed, contested) = (!writes.is_empty(), is_contested(&facts));
        let time = |name| latest(&facts, name).map(|fact| fact.at);
        let (removed, connected) = (time(Name::Removed), time(Name::Connected));
        let is_stale = row.as_ref().is_none_or(|row| !are_same(&row.facts, &facts));
        let end_before = row.as_ref().and_then(|row| row.instance.next_end());
        let row = next_row(id, row, facts).ok_or(StoreError::NoFacts)?;
        // Tokens of an earlier installation must not replace those of the present one.
        let is_present = removed.max(connected).is_none_or(|since| since <= now);
        if row.instance.status != Status::Removed && is_present {
            writes.extend(tokens);
        }
        if is_stale {
            writes.push(row_write(id, &row)?);
        }
        let Row { instance, facts, .. } = row;
        // No event tells that a period has ended.
        if let Some(end) = instance.next_end().filter(|end| Some(*end) != end_before && *end > now) {
            let since = end.plus(AFTER_END);
            self.write(&[recheck_write(id, since, Attempts { since, failed: 0 })?]).await?;
        }
        // Deferred work is persisted before the response, even if nothing else is left to write.
        let is_new = !writes.is_empty() && !is_rechecked;
        let needs_recheck = is_new || contested || instance.needs_setup_event(self.setup);
        let due = now.plus(RECHECK_AFTER);
        if needs_recheck && !self.pending.is_some_and(|pending| pending.serves(id, now)) {
            let recheck = recheck_write(id, due, Attempts { since: now, failed: 0 })?;
            // A fact that cannot be reported now is reported by its recheck, even if storing it is repeated.
            if recheck_first || self.reports {
                self.write(&[recheck]).await?;
            } else {
                writes.push(recheck);
            }
        }
        self.write(&writes).await?;
        if let Some(pending) = self.pending.filter(|pending| needs_recheck && !pending.serves(id, now)) {
            pending.set(id, due);
        }
        Ok(Recorded { instance, facts, changed, contested, removed })
    }

    /// Records a removal, with the facts of its message. A token that Wix issued long after it is a fact as well, which contests
    /// the removal.
    pub async fn record_removal(
        &self,
        id: &InstanceId,
        at: Timestamp,
        mut facts: Vec<Fact>,
        issued: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Recorded, StoreError> {
        let issued = issued.map(|issued| Fact::new(issued, Kind::Accepted));
        let contradiction = issued.filter(|fact| fact.at.since(at) > CLOCK_SKEW);
        facts.extend(contradiction);
        self.record_all(News::new(id, facts, now)).await
    }

    /// Reconciles: joins the row with the listed facts, repairs a stale row, erases the tokens of a removed instance, and
    /// deletes superseded facts. The row's own facts are part of the join, so that it never loses one. Every writer
    /// reconciles after its last write, and a recheck does so once more when KV shows all writes everywhere.
    pub async fn reconcile(&self, id: &InstanceId) -> Result<Option<Recorded>, StoreError> {
        let (mut known, mut result) = (Vec::new(), None);
        for _ in 0..REPAIR_ATTEMPTS {
            let (listed, row) = try_join(self.facts(id), self.row(id)).await?;
            let facts = joined(row.as_ref(), &listed);
            known = listed;
            let (contested, removed) = (is_contested(&facts), latest(&facts, Name::Removed).map(|fact| fact.at));
            let changed = row.as_ref().is_none_or(|row| !are_same(&row.facts, &facts));
            let Some(row) = next_row(id, row, facts) else { break };
            let (instance, facts) = (row.instance.clone(), row.facts.clone());
            let recorded = Recorded { instance, facts, changed, contested, removed };
            if recorded.is_gone() {
                self.erase_tokens(id).await?;
            }
            result = Some(recorded);
            if !changed {
                break;
            }
            self.platform.sleep(BETWEEN_WRITES).await;
            self.write(&[row_write(id, &row)?]).await?;
        }
        if result.as_ref().is_some_and(Recorded::is_gone) {
            self.erase_flows(id, &known).await?;
        }
        let facts: Vec<Fact> = known.iter().map(|(_, fact)| fact.clone()).collect();
        let outdated = outdated(&facts);
        let keys = known.iter().filter(|(_, fact)| outdated.contains(&fact)).map(|(key, _)| key);
        self.within(try_join_all(keys.map(|key| self.platform.kv_delete(key)))).await?;
        Ok(result)
    }

    pub(super) fn note_unreadable(&self) {
        if let Some(trace) = self.trace {
            let cause = "a row cannot be read: it is left out of the listing, or folded anew from its facts";
            trace.secondary("row_unreadable", cause.to_owned());
        }
    }
}

/// Whether a stored fact makes it needless to store this one. Of several updates each may count, and a site stays the same.
fn is_known_by(fact: &Fact, stored: &Fact) -> bool {
    match fact.kind {
        Kind::Listed => stored == fact,
        Kind::Site { .. } if stored.kind == fact.kind => true,
        _ => stored.kind.name() == fact.kind.name() && stored >= fact,
    }
}

/// Whether the fact counts beside the others: neither a deletion erases it, nor is it an update before a removal.
fn is_kept(facts: &[Fact], fact: &Fact) -> bool {
    match fact.kind {
        Kind::Listed => facts.contains(fact),
        _ => latest(facts, fact.kind.name()).is_some(),
    }
}

pub(super) fn row_write(id: &InstanceId, row: &Row) -> Result<Write, StoreError> {
    let metadata = Some(row.metadata()?);
    Ok(Write { metadata, ..Write::new(keys::row(id), to_json(row)?) })
}

/// The row with these facts. Fields that a newer version wrote into the present row are preserved.
fn next_row(id: &InstanceId, row: Option<Row>, facts: Vec<Fact>) -> Option<Row> {
    match row {
        Some(row) => row.with(id, facts),
        None => Row::fold(id, facts),
    }
}

/// Joins the row's facts with the listed ones: the latest of each kind.
fn joined(row: Option<&Row>, listed: &Listed) -> Vec<Fact> {
    let mut facts = Vec::new();
    for fact in row.iter().flat_map(|row| &row.facts).chain(listed.iter().map(|(_, fact)| fact)) {
        join(&mut facts, fact.clone());
    }
    facts
}
