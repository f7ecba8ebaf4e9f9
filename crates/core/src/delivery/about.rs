//! What an object knows beside its events: a few values by name.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::maintenance::Maintenance;
use super::{Sql, SqlValue, schema};
use crate::facts::{Fact, State};
use crate::runtime::PlatformError;
use crate::store::{Reconciliation, SealedToken};
use crate::values::{Timestamp, json};

/// The object's own name: an instance id, or the app id.
pub(super) const NAME: &str = "object";
/// [`Told`]
const TOLD: &str = "told";
/// How many events are parked, as the list of parked events in KV has it.
pub(super) const PARKED: &str = "parked";
/// The place in the list of parked events from where the app's object goes on to redeliver.
const REDELIVERY: &str = "redelivery";
/// [`Maintenance`]
pub(super) const MAINTENANCE: &str = "maintenance";
/// The figures of the reconciliation with Wix, in the app's object.
const FIGURES: &str = "reconciliation";
/// How far the Cron Trigger has come in the list of installations, in the app's object.
const PASS: &str = "pass";

/// The name of a claim to the hand-over of a flow, before the flow.
const CLAIM: &str = "claim:";

/// The facts that the object has been given, and the state that it has told the app.
#[derive(Debug, Clone)]
pub struct Told {
    pub facts: Vec<Fact>,
    pub state: State,
}

/// What each event needs to know of the object.
#[derive(Debug, Default)]
pub struct Known {
    /// The object's own name, once it is known.
    pub name: Option<String>,
    /// What the object notes of its maintenance.
    pub maintenance: Option<Maintenance>,
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
    /// Opens the values.
    pub fn open(sql: &'a P) -> Result<Self, PlatformError> {
        schema::create(sql)?;
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

    /// A value in JSON; `None` if a newer version wrote it in another form.
    fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, PlatformError> {
        Ok(self.get(name)?.and_then(|text| json::parse(&text).ok()))
    }

    fn write(&self, name: &str, value: &impl Serialize) -> Result<(), PlatformError> {
        let text = serde_json::to_string(value);
        self.set(name, &text.map_err(|_| PlatformError("a value cannot be written".to_owned()))?)
    }

    fn remove(&self, name: &str) -> Result<(), PlatformError> {
        self.sql.sql("DELETE FROM about WHERE name = ?", &[SqlValue::Text(name)]).map(|_| ())
    }

    /// See [`Known`].
    pub fn known(&self) -> Result<Known, PlatformError> {
        let statement = "SELECT (SELECT value FROM about WHERE name = ?) AS name, \
                         (SELECT value FROM about WHERE name = ?) AS maintenance";
        let rows = self.sql.sql(statement, &[SqlValue::Text(NAME), SqlValue::Text(MAINTENANCE)])?;
        let mut texts = rows.into_iter().flatten().map(SqlValue::into_text);
        let (name, maintenance) = (texts.next().flatten(), texts.next().flatten());
        Ok(Known { name, maintenance: maintenance.and_then(|text| json::parse(&text).ok()) })
    }

    /// The object's own name, once it is known.
    pub fn name(&self) -> Result<Option<String>, PlatformError> {
        self.get(NAME)
    }

    /// Stores the object's own name, which the runtime does not tell it in an alarm. Returns whether it was unknown.
    pub fn learn_name(&self, name: &str) -> Result<bool, PlatformError> {
        let is_new = self.name()?.is_none();
        if is_new {
            self.set_name(name)?;
        }
        Ok(is_new)
    }

    /// Stores the object's own name.
    pub fn set_name(&self, name: &str) -> Result<(), PlatformError> {
        self.set(NAME, name)
    }

    /// What was told. `None` before the first report, and if a newer version wrote it in another form.
    pub fn told(&self) -> Result<Option<Told>, PlatformError> {
        let Some(text) = self.get(TOLD)? else { return Ok(None) };
        let Ok(Stored { facts, state }) = json::parse(&text) else { return Ok(None) };
        let facts = facts.into_iter().filter_map(|fact| Fact::from_json(fact.get())).collect();
        Ok(Some(Told { facts, state }))
    }

    /// Stores what was told.
    pub fn set_told(&self, told: &Told) -> Result<(), PlatformError> {
        self.write(TOLD, &Storing { facts: &told.facts, state: &told.state })
    }

    /// A sealed token.
    pub fn token(&self, token: SealedToken) -> Result<Option<String>, PlatformError> {
        self.get(token_name(token))
    }

    /// Stores a sealed token, or erases it.
    pub fn set_token(&self, token: SealedToken, envelope: Option<&str>) -> Result<(), PlatformError> {
        envelope.map_or_else(|| self.remove(token_name(token)), |envelope| self.set(token_name(token), envelope))
    }

    /// Erases both tokens.
    pub fn erase_tokens(&self) -> Result<(), PlatformError> {
        [SealedToken::Access, SealedToken::Refresh].into_iter().try_for_each(|token| self.set_token(token, None))
    }

    /// Notes what the list of parked events in KV shows of this object.
    pub fn set_listed_parked(&self, listed: Option<&str>) -> Result<(), PlatformError> {
        listed.map_or_else(|| self.remove(PARKED), |listed| self.set(PARKED, listed))
    }

    /// Who has claimed the hand-over of a flow.
    pub fn claimant(&self, flow: &str) -> Result<Option<String>, PlatformError> {
        let claim = self.get(&format!("{CLAIM}{flow}"))?;
        Ok(claim.and_then(|claim| Some(claim.split_once(' ')?.1.to_owned())))
    }

    /// Remembers a claim. It begins with the number of seconds that [`Self::forget_claims`] compares.
    pub fn set_claim(&self, flow: &str, by: &str, until: Timestamp) -> Result<(), PlatformError> {
        self.set(&format!("{CLAIM}{flow}"), &format!("{} {by}", until.0))
    }

    /// Deletes the claims that nobody can repeat.
    pub fn forget_claims(&self, now: Timestamp) -> Result<(), PlatformError> {
        let statement = "DELETE FROM about WHERE name GLOB 'claim:*' AND CAST(value AS INTEGER) < ?";
        self.sql.sql(statement, &[SqlValue::Number(now.0)]).map(|_| ())
    }

    /// From where the redelivery of all parked events goes on; `None` if there is nothing to do.
    pub fn redelivery(&self) -> Result<Option<String>, PlatformError> {
        self.get(REDELIVERY)
    }

    /// Notes from where it goes on.
    pub fn set_redelivery(&self, cursor: Option<&str>) -> Result<(), PlatformError> {
        cursor.map_or_else(|| self.remove(REDELIVERY), |cursor| self.set(REDELIVERY, cursor))
    }

    /// What the object notes of its maintenance.
    pub fn maintenance(&self) -> Result<Option<Maintenance>, PlatformError> {
        self.read(MAINTENANCE)
    }

    /// Stores what it notes.
    pub fn set_maintenance(&self, noted: &Maintenance) -> Result<(), PlatformError> {
        self.write(MAINTENANCE, noted)
    }

    /// The figures of the reconciliation.
    pub fn figures(&self) -> Result<Reconciliation, PlatformError> {
        Ok(self.read(FIGURES)?.unwrap_or_default())
    }

    /// Stores the figures.
    pub fn set_figures(&self, figures: &Reconciliation) -> Result<(), PlatformError> {
        self.write(FIGURES, figures)
    }

    /// Notes a report. Whether it is new.
    pub fn count_once(&self, report: &str) -> Result<bool, PlatformError> {
        let statement = "INSERT OR IGNORE INTO about VALUES ('counted:' || ?, '') RETURNING 1";
        Ok(!self.sql.sql(statement, &[SqlValue::Text(report)])?.is_empty())
    }

    /// Deletes the reports before a time, which nobody repeats.
    pub fn forget_reports(&self, before: Timestamp) -> Result<(), PlatformError> {
        let statement = "DELETE FROM about WHERE name GLOB 'counted:*' AND name < printf('counted:%012d', ?)";
        self.sql.sql(statement, &[SqlValue::Number(before.0)]).map(|_| ())
    }

    /// How far the Cron Trigger has come, as JSON.
    pub fn pass(&self) -> Result<Option<String>, PlatformError> {
        self.get(PASS)
    }

    /// Stores how far it has come.
    pub fn set_pass(&self, pass: &str) -> Result<(), PlatformError> {
        self.set(PASS, pass)
    }
}

fn token_name(token: SealedToken) -> &'static str {
    match token {
        SealedToken::Access => "access_token",
        SealedToken::Refresh => "refresh_token",
    }
}
