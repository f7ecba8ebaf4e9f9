//! What an object knows beside its events: a few values by name.

use serde::{Deserialize, Serialize};

use super::{Sql, SqlValue};
use crate::facts::{Fact, State};
use crate::runtime::PlatformError;

const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID";

/// The object's own name: an instance id, or the app id.
const NAME: &str = "object";
/// [`Told`]
const TOLD: &str = "told";
/// How many events are parked, as the list of parked events in KV has it.
const PARKED: &str = "parked";
/// The place in the list of parked events from where the app's object goes on to redeliver.
const REDELIVERY: &str = "redelivery";

/// The facts that the object has been given, and the state that it has told the app.
#[derive(Debug, Clone)]
pub struct Told {
    pub facts: Vec<Fact>,
    pub state: State,
}

/// See the module.
pub struct About<'a, P> {
    sql: &'a P,
}

#[derive(Deserialize)]
struct Stored<'a> {
    #[serde(borrow)]
    facts: Vec<&'a serde_json::value::RawValue>,
    state: State,
}

#[derive(Serialize)]
struct Storing<'a> {
    facts: &'a [Fact],
    state: &'a State,
}

impl<'a, P: Sql> About<'a, P> {
    /// Opens the values, and creates their table if there is none.
    pub fn open(sql: &'a P) -> Result<Self, PlatformError> {
        sql.sql(SCHEMA, &[])?;
        Ok(Self { sql })
    }

    fn get(&self, name: &str) -> Result<Option<String>, PlatformError> {
        let rows = self.sql.sql("SELECT value FROM about WHERE name = ?", &[SqlValue::Text(name)])?;
        Ok(rows.into_iter().flatten().next().and_then(SqlValue::into_text))
    }

    fn set(&self, name: &str, value: &str) -> Result<(), PlatformError> {
        let statement = "INSERT INTO about (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = ?2";
        self.sql.sql(statement, &[SqlValue::Text(name), SqlValue::Text(value)]).map(|_| ())
    }

    fn remove(&self, name: &str) -> Result<(), PlatformError> {
        self.sql.sql("DELETE FROM about WHERE name = ?", &[SqlValue::Text(name)]).map(|_| ())
    }

    /// The object's own name, once it is known.
    pub fn name(&self) -> Result<Option<String>, PlatformError> {
        self.get(NAME)
    }

    /// Stores the object's own name, which the runtime does not tell it in an alarm.
    pub fn learn_name(&self, name: &str) -> Result<(), PlatformError> {
        if self.name()?.is_none() {
            self.set(NAME, name)?;
        }
        Ok(())
    }

    /// What was told. `None` before the first report, and if a newer version wrote it in another form.
    pub fn told(&self) -> Result<Option<Told>, PlatformError> {
        let Some(text) = self.get(TOLD)? else { return Ok(None) };
        let Ok(Stored { facts, state }) = serde_json::from_str(&text) else { return Ok(None) };
        let facts = facts.into_iter().filter_map(|fact| Fact::from_json(fact.get())).collect();
        Ok(Some(Told { facts, state }))
    }

    /// Stores what was told.
    pub fn set_told(&self, told: &Told) -> Result<(), PlatformError> {
        let stored = serde_json::to_string(&Storing { facts: &told.facts, state: &told.state });
        self.set(TOLD, &stored.map_err(|_| PlatformError("a fact cannot be written".to_owned()))?)
    }

    /// What the list of parked events in KV shows of this object, as JSON.
    pub fn listed_parked(&self) -> Result<Option<String>, PlatformError> {
        self.get(PARKED)
    }

    /// Notes what the list shows.
    pub fn set_listed_parked(&self, listed: Option<&str>) -> Result<(), PlatformError> {
        listed.map_or_else(|| self.remove(PARKED), |listed| self.set(PARKED, listed))
    }

    /// From where the redelivery of all parked events goes on; `None` if there is nothing to do.
    pub fn redelivery(&self) -> Result<Option<String>, PlatformError> {
        self.get(REDELIVERY)
    }

    /// Notes from where it goes on.
    pub fn set_redelivery(&self, cursor: Option<&str>) -> Result<(), PlatformError> {
        cursor.map_or_else(|| self.remove(REDELIVERY), |cursor| self.set(REDELIVERY, cursor))
    }
}
