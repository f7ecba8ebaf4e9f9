//! Facts and rows: how what happened is added, and how a row is kept from lagging (see `record.rs`).

use std::time::Duration;

use futures::future::{try_join, try_join_all};

use super::todo::{LOOK_AGAIN, Tries, todo};
use super::{Kv, Write, parse, to_json};
use crate::doubt::{SKEW, in_doubt};
use crate::error::Error;
use crate::id::InstanceId;
use crate::memory::Token;
use crate::platform::{KvPage, Platform};
use crate::record::{Fact, Instance, Kind, Row, Status, fold, join, outdated};
use crate::time::Timestamp;

/// KV takes one write a second to a key.
pub const BETWEEN_WRITES: Duration = Duration::from_millis(1_100);
/// How often a row is mended before it is left to the next look.
const MENDINGS: u32 = 3;
/// Facts read at once; far more than an instance ever has, since outdated ones are dropped.
const FACTS: u16 = 1000;

/// What is known once facts were added.
pub struct Learnt {
    /// The instance as it is now.
    pub instance: Instance,
    /// Whether anything was new.
    pub changed: bool,
    /// Whether it is removed and yet may be there: nothing is erased before Wix was asked.
    pub in_doubt: bool,
}

impl Learnt {
    /// Whether its tokens are to be erased.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.instance.status == Status::Removed && !self.in_doubt
    }
}

impl<P: Platform> Kv<'_, P> {
    /// The instance, as its row says.
    pub async fn instance(&self, id: &InstanceId) -> Result<Option<Instance>, Error> {
        Ok(self.row(id).await?.map(|row| row.instance))
    }

    async fn row(&self, id: &InstanceId) -> Result<Option<Row>, Error> {
        let text = self.within(self.platform.kv_get(&Instance::key(id))).await?;
        text.map(|text| parse("instance", &text)).transpose()
    }

    /// The instance, folded from its facts. Costs a listing: for rows that are in doubt.
    pub async fn folded(&self, id: &InstanceId) -> Result<Option<Instance>, Error> {
        let (known, row) = try_join(self.facts(id), self.row(id)).await?;
        Ok(fold(id, &joined(row.as_ref(), &known)))
    }

    /// Facts of a kind that only a newer version knows are passed over.
    async fn facts(&self, id: &InstanceId) -> Result<Vec<Fact>, Error> {
        let prefix = Fact::prefix(id);
        let page = self.within(self.platform.kv_list(&prefix, None, FACTS)).await?;
        let facts = page.keys.iter().filter_map(|key| key.metadata.as_deref());
        Ok(facts.filter_map(|text| serde_json::from_slice(text.as_bytes()).ok()).collect())
    }

    /// Adds a fact. One that is known or outdated is not written again, so a message that comes twice costs no write.
    ///
    /// In the same round of writes it is put down that the instance is to be looked at again: another writer may be at
    /// the same row at this moment, or KV may show us what was a minute ago. See [`Self::settle`].
    pub async fn learn(&self, id: &InstanceId, fact: Fact, now: Timestamp) -> Result<Learnt, Error> {
        self.learn_all(id, vec![fact], now, Vec::new()).await
    }

    /// Adds facts that belong together, and keeps sealed tokens in the same round of writes unless the app is removed.
    pub(super) async fn learn_all(
        &self,
        id: &InstanceId,
        news: Vec<Fact>,
        now: Timestamp,
        tokens: Vec<Write>,
    ) -> Result<Learnt, Error> {
        let (known, row) = try_join(self.facts(id), self.row(id)).await?;
        let mut facts = joined(row.as_ref(), &known);
        let mut writes = Vec::new();
        for fact in news {
            if !known.iter().any(|known| known.kind.name() == fact.kind.name() && *known >= fact) {
                let text = to_json(&fact)?;
                writes.push(Write { metadata: Some(text.clone()), ..Write::new(fact.key(id), text) });
                join(&mut facts, fact);
            }
        }
        let (changed, in_doubt) = (!writes.is_empty(), in_doubt(&facts));
        let instance = fold(id, &facts).ok_or(Error::UnknownInstance)?;
        if instance.status != Status::Removed {
            writes.extend(tokens);
        }
        if row.is_none_or(|row| row.facts != facts) {
            writes.push(Self::row_write(id, instance.clone(), facts)?);
        }
        // What is left to be done after the answer is put down before it, also where only that failed the last time.
        if !writes.is_empty() || in_doubt || instance.is_to_be_finished(self.config) {
            writes.push(todo(id, now.plus(LOOK_AGAIN), Tries { since: now, failed: 0 })?);
        }
        self.write(&writes).await?;
        Ok(Learnt { instance, changed, in_doubt })
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
        let given = token.map(|token| Fact { at: token.given_at(), kind: Kind::Accepted });
        let contradicts = given.filter(|fact| fact.at.since(at) > SKEW);
        let mut news = vec![Fact { at, kind: Kind::Removed }];
        news.extend(contradicts);
        self.learn_all(id, news, now, Vec::new()).await
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
            let Some(instance) = fold(id, &facts) else { break };
            let changed = row.is_none_or(|row| row.facts != facts);
            let learnt = Learnt { instance: instance.clone(), changed, in_doubt: in_doubt(&facts) };
            if learnt.is_gone() {
                self.erase_tokens(id).await?;
            }
            settled = Some(learnt);
            if !changed {
                break;
            }
            self.platform.sleep(BETWEEN_WRITES).await;
            self.write(&[Self::row_write(id, instance, facts)?]).await?;
        }
        let outdated: Vec<String> = outdated(&known).into_iter().map(|fact| fact.key(id)).collect();
        self.within(try_join_all(outdated.iter().map(|key| self.platform.kv_delete(key)))).await?;
        Ok(settled)
    }

    fn row_write(id: &InstanceId, instance: Instance, facts: Vec<Fact>) -> Result<Write, Error> {
        let metadata = Some(to_json(&instance)?);
        Ok(Write { metadata, ..Write::new(Instance::key(id), to_json(&Row { instance, facts })?) })
    }

    /// One page of rows.
    pub async fn list(&self, cursor: Option<&str>, limit: u16) -> Result<(Vec<Instance>, Option<String>), Error> {
        let KvPage { keys, cursor } = self.within(self.platform.kv_list(Instance::PREFIX, cursor, limit)).await?;
        let rows = keys.iter().filter_map(|key| key.metadata.as_deref()).map(|text| parse("instance", text));
        Ok((rows.collect::<Result<_, _>>()?, cursor))
    }
}

/// The row's facts and those listed, the latest of each kind.
fn joined(row: Option<&Row>, listed: &[Fact]) -> Vec<Fact> {
    let mut facts = Vec::new();
    for fact in row.iter().flat_map(|row| &row.facts).chain(listed) {
        join(&mut facts, fact.clone());
    }
    facts
}
