//! Facts and rows: how what happened is added, and how a row is kept from lagging (see `record.rs`).

use std::time::Duration;

use futures::future::{try_join, try_join_all};

use super::todo::{LOOK_AGAIN, Tries, todo};
use super::{Kv, Write, no_json, to_json};
use crate::doubt::{SKEW, in_doubt};
use crate::error::Error;
use crate::id::InstanceId;
use crate::memory::Token;
use crate::platform::{KvPage, Platform};
use crate::record::{Fact, Instance, Kind, Name, Row, Status, join, latest, outdated};
use crate::time::Timestamp;

/// KV takes one write a second to a key.
pub const BETWEEN_WRITES: Duration = Duration::from_millis(1_100);
/// How often a row is mended before it is left to the next look.
const MENDINGS: u32 = 3;
/// Facts read at once; far more than an instance ever has, since outdated ones are dropped.
const FACTS: u16 = 1000;
/// Rows of one page that are read because their metadata cannot be, of the thousand operations that an invocation has.
const ROWS_READ: usize = 100;

/// What is known once facts were added.
pub struct Learnt {
    /// The instance as it is now.
    pub instance: Instance,
    /// Whether anything was new.
    pub changed: bool,
    /// Whether it is removed and yet may be there: nothing is erased before Wix was asked.
    pub in_doubt: bool,
    /// The latest removal, whether or not something came after it.
    pub removed: Option<Timestamp>,
}

impl Learnt {
    /// Whether its tokens are to be erased.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.instance.status == Status::Removed && !self.in_doubt
    }
}

/// What is stored in one go.
struct News<'a> {
    facts: Vec<Fact>,
    /// Sealed tokens, kept unless the app is removed.
    tokens: Vec<Write>,
    now: Timestamp,
    /// Whether the recheck is stored before everything else, so that a fact that is known proves it.
    recheck_first: bool,
    id: &'a InstanceId,
}

/// Facts as a listing shows them, each with its key.
type Listed = Vec<(String, Fact)>;

impl<P: Platform> Kv<'_, P> {
    /// The instance, as its row says. A row that cannot be read is folded anew.
    pub async fn instance(&self, id: &InstanceId) -> Result<Option<Instance>, Error> {
        let Some(text) = self.within(self.platform.kv_get(&Instance::key(id))).await? else { return Ok(None) };
        match Row::read(id, &text) {
            Some(row) => Ok(Some(row.instance)),
            None => self.folded(id).await,
        }
    }

    async fn row(&self, id: &InstanceId) -> Result<Option<Row>, Error> {
        let Some(text) = self.within(self.platform.kv_get(&Instance::key(id))).await? else { return Ok(None) };
        let row = Row::read(id, &text);
        if row.is_none() {
            self.note_unreadable();
        }
        Ok(row)
    }

    /// The instance, folded from its facts. Costs a listing: for rows that are in doubt.
    pub async fn folded(&self, id: &InstanceId) -> Result<Option<Instance>, Error> {
        let (listed, row) = try_join(self.facts(id), self.row(id)).await?;
        let facts = joined(row.as_ref(), &listed);
        Ok(next_row(id, row, facts).map(|row| row.instance))
    }

    async fn facts(&self, id: &InstanceId) -> Result<Listed, Error> {
        let prefix = Fact::prefix(id);
        let page = self.within(self.platform.kv_list(&prefix, None, FACTS)).await?;
        let facts = page.keys.into_iter().filter_map(|key| Some((key.name, Fact::from_json(&key.metadata?))));
        Ok(facts.collect())
    }

    /// Whether a fact is stored and its row knows it. Costs two reads and no listing.
    pub async fn knows(&self, id: &InstanceId, fact: &Fact) -> Result<bool, Error> {
        let key = fact.key(id).map_err(no_json)?;
        let (stored, row) = try_join(self.within(self.platform.kv_get(&key)), self.row(id)).await?;
        let known = row.and_then(|row| latest(&row.facts, fact.kind.name()).cloned());
        // Once a later one is known, this one is outdated and dropped.
        Ok(known.as_ref() > Some(fact) || (stored.is_some() && known.as_ref() == Some(fact)))
    }

    /// Adds a fact. One that is known or outdated is not written again, so a message that comes twice costs no write.
    ///
    /// In the same round of writes it is put down that the instance is to be looked at again: another writer may be at
    /// the same row at this moment, or KV may show us what was a minute ago. See [`Self::settle`].
    pub async fn learn(&self, id: &InstanceId, fact: Fact, now: Timestamp) -> Result<Learnt, Error> {
        self.learn_all(News { facts: vec![fact], tokens: Vec::new(), now, recheck_first: false, id }).await
    }

    /// Adds the fact that ends a flow, with its sealed tokens. The recheck is stored first: a browser may open the end of a
    /// flow again and again, and where the fact is known nothing needs to be written.
    pub async fn learn_flow(
        &self,
        id: &InstanceId,
        fact: Fact,
        now: Timestamp,
        tokens: Vec<Write>,
    ) -> Result<Learnt, Error> {
        self.learn_all(News { facts: vec![fact], tokens, now, recheck_first: true, id }).await
    }

    async fn learn_all(&self, news: News<'_>) -> Result<Learnt, Error> {
        let News { facts: new_facts, tokens, now, recheck_first, id } = news;
        let (listed, row) = try_join(self.facts(id), self.row(id)).await?;
        let mut facts = joined(row.as_ref(), &listed);
        let mut writes = Vec::new();
        for fact in new_facts {
            if !listed.iter().any(|(_, known)| known.kind.name() == fact.kind.name() && *known >= fact) {
                let text = to_json(&fact)?;
                let key = fact.key(id).map_err(no_json)?;
                writes.push(Write { metadata: Some(text.clone()), ..Write::new(key, text) });
                join(&mut facts, fact);
            }
        }
        let (changed, in_doubt) = (!writes.is_empty(), in_doubt(&facts));
        let time = |name| latest(&facts, name).map(|fact| fact.at);
        let (removed, connected) = (time(Name::Removed), time(Name::Connected));
        let lags = row.as_ref().is_none_or(|row| row.facts != facts);
        let row = next_row(id, row, facts).ok_or(Error::UnknownInstance)?;
        // Tokens of an earlier installation must not replace those of the present one.
        let is_present = removed.max(connected).is_none_or(|since| since <= now);
        if row.instance.status != Status::Removed && is_present {
            writes.extend(tokens);
        }
        if lags {
            writes.push(row_write(id, &row)?);
        }
        let instance = row.instance;
        // What is left to be done after the response is stored before it, also where only that failed the last time.
        let is_due = !writes.is_empty() || in_doubt || instance.is_to_be_finished(self.config);
        let due = now.plus(LOOK_AGAIN);
        if is_due && !self.recheck.is_some_and(|recheck| recheck.serves(id, now)) {
            let recheck = todo(id, due, Tries { since: now, failed: 0 })?;
            if recheck_first {
                self.write(&[recheck]).await?;
            } else {
                writes.push(recheck);
            }
        }
        self.write(&writes).await?;
        if let Some(recheck) = self.recheck.filter(|recheck| is_due && !recheck.serves(id, now)) {
            recheck.stored(id, due);
        }
        Ok(Learnt { instance, changed, in_doubt, removed })
    }

    /// Adds a removal. That Wix gave a token long after it is a fact too, which contradicts it.
    pub async fn learn_removal(
        &self,
        id: &InstanceId,
        at: Timestamp,
        token: Option<Token>,
        now: Timestamp,
    ) -> Result<Learnt, Error> {
        let token = match token {
            Some(token) => Some(token),
            None => self.access_token(id, now).await?,
        };
        let given = token.map(|token| Fact::new(token.given_at(), Kind::Accepted));
        let contradicts = given.filter(|fact| fact.at.since(at) > SKEW);
        let mut news = vec![Fact::new(at, Kind::Removed)];
        news.extend(contradicts);
        self.learn_all(News { facts: news, tokens: Vec::new(), now, recheck_first: false, id }).await
    }

    /// Looks, after a fact was added, whether the row knows all that the facts say, and mends it; the row's own facts
    /// count too, so that it never knows less than before. Every writer does so after its last write, and again when KV
    /// shows everybody the same. Then drops the facts that no longer count.
    pub async fn settle(&self, id: &InstanceId) -> Result<Option<Learnt>, Error> {
        let (mut known, mut settled) = (Vec::new(), None);
        for _ in 0..MENDINGS {
            let (listed, row) = try_join(self.facts(id), self.row(id)).await?;
            let facts = joined(row.as_ref(), &listed);
            known = listed;
            let (in_doubt, removed) = (in_doubt(&facts), latest(&facts, Name::Removed).map(|fact| fact.at));
            let changed = row.as_ref().is_none_or(|row| row.facts != facts);
            let Some(row) = next_row(id, row, facts) else { break };
            let learnt = Learnt { instance: row.instance.clone(), changed, in_doubt, removed };
            if learnt.is_gone() {
                self.erase_tokens(id).await?;
            }
            settled = Some(learnt);
            if !changed {
                break;
            }
            self.platform.sleep(BETWEEN_WRITES).await;
            self.write(&[row_write(id, &row)?]).await?;
        }
        let facts: Vec<Fact> = known.iter().map(|(_, fact)| fact.clone()).collect();
        let outdated = outdated(&facts);
        let keys = known.iter().filter(|(_, fact)| outdated.contains(&fact)).map(|(key, _)| key);
        self.within(try_join_all(keys.map(|key| self.platform.kv_delete(key)))).await?;
        Ok(settled)
    }

    /// One page of rows. One whose metadata cannot be read is read itself; if that cannot be read either, it is left out.
    pub async fn list(&self, cursor: Option<&str>, limit: u16) -> Result<(Vec<Instance>, Option<String>), Error> {
        let KvPage { keys, cursor } = self.within(self.platform.kv_list(Instance::PREFIX, cursor, limit)).await?;
        let mut rows: Vec<Option<Instance>> = keys.iter().map(|key| read_metadata(key.metadata.as_deref()?)).collect();
        let unread = keys.iter().zip(&mut rows).filter(|(_, row)| row.is_none()).take(ROWS_READ);
        let ids = unread.filter_map(|(key, row)| {
            let id = key.name.strip_prefix(Instance::PREFIX)?;
            Some((InstanceId::parse(id).ok()?, row))
        });
        let reads = ids.map(|(id, row)| async move {
            *row = self.instance(&id).await?;
            Ok::<_, Error>(())
        });
        try_join_all(reads).await?;
        if rows.iter().any(Option::is_none) {
            self.note_unreadable();
        }
        Ok((rows.into_iter().flatten().collect(), cursor))
    }

    fn note_unreadable(&self) {
        if let Some(trace) = self.trace {
            let cause = "a row cannot be read: it is left out of the listing, or folded anew from its facts";
            trace.beside("row_unreadable", cause.to_owned());
        }
    }
}

fn read_metadata(text: &str) -> Option<Instance> {
    serde_json::from_slice(text.as_bytes()).ok()
}

fn row_write(id: &InstanceId, row: &Row) -> Result<Write, Error> {
    let metadata = Some(row.metadata().map_err(no_json)?);
    Ok(Write { metadata, ..Write::new(Instance::key(id), to_json(row)?) })
}

/// The row with these facts, and with what a newer version wrote into the present one.
fn next_row(id: &InstanceId, row: Option<Row>, facts: Vec<Fact>) -> Option<Row> {
    match row {
        Some(row) => row.with(id, facts),
        None => Row::fold(id, facts),
    }
}

/// The row's facts and those listed, the latest of each kind.
fn joined(row: Option<&Row>, listed: &Listed) -> Vec<Fact> {
    let mut facts = Vec::new();
    for fact in row.iter().flat_map(|row| &row.facts).chain(listed.iter().map(|(_, fact)| fact)) {
        join(&mut facts, fact.clone());
    }
    facts
}
