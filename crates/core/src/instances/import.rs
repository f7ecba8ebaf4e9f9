//! The import of an installation that existed before this Worker. It is recorded only if Wix confirms it.

use serde::Deserialize;
use serde_json::Value;

use super::{Context, InstanceError, Ports};
use crate::delivery::{ask, requests};
use crate::facts::{Fact, Kind, Status};
use crate::store::{Store, StoreError, Stored};
use crate::values::{InstanceId, RefreshToken, SiteId, Timestamp, json};
use crate::wix::event::product;
use crate::wix::{DEADLINE_MILLIS, WixError, is_token};

/// The longest line, in bytes.
pub const LINE_LIMIT: usize = 64 * 1024;
/// How many installations one request imports, if each one's object does it: the free plan allows 50 subrequests.
pub const IMPORTS_BY_OBJECTS: usize = 40;
/// How many it imports by itself: each takes two calls to Wix, or more if Wix fails.
pub const IMPORTS_BY_WORKER: usize = 20;
/// How much longer than Wix's deadline an object may take, in milliseconds.
const OBJECT_MARGIN: u64 = 10_000;

/// What became of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportOutcome {
    /// The installation is recorded.
    Imported,
    /// It was known.
    Known,
    /// Wix refuses it.
    Refused,
    /// It failed, and may succeed when the line is sent again.
    Failed,
}

impl ImportOutcome {
    const ALL: [Self; 4] = [Self::Imported, Self::Known, Self::Refused, Self::Failed];

    /// The name in the response.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Imported => "imported",
            Self::Known => "known",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

/// One line. It has no `Debug`, since it may contain a refresh token.
pub struct Line {
    /// The installation.
    pub instance: InstanceId,
    refresh_token: Option<RefreshToken>,
    site: Option<SiteId>,
    installed_at: Option<Timestamp>,
    plan: Option<String>,
}

/// A malformed line: the installation, if it can be read, and what is wrong. The text quotes nothing of the line.
pub type Malformed = (Option<InstanceId>, &'static str);

/// The fields of a line, of any type. Others are ignored, so that an exported line can be imported.
#[derive(Deserialize)]
struct Fields {
    #[serde(default)]
    instance_id: Value,
    #[serde(default)]
    refresh_token: Value,
    #[serde(default)]
    site_id: Value,
    #[serde(default)]
    installed_at: Value,
    #[serde(default)]
    plan: Value,
}

impl Line {
    /// Reads a line.
    pub fn parse(text: &str, now: Timestamp) -> Result<Self, Malformed> {
        let fields: Fields = json::object(text.as_bytes())
            .map_err(|_| (None, "the line must be a JSON object in which each name occurs once"))?;
        let instance = fields.instance_id.as_str().and_then(|id| InstanceId::parse(id).ok());
        let instance = instance.ok_or((None, "instance_id must be a GUID"))?;
        let or = |problem| (Some(instance.clone()), problem);
        let refresh_token = optional(fields.refresh_token, |value| match value {
            Value::String(text) if is_token(&text) => Some(RefreshToken::new(text)),
            _ => None,
        });
        let site = optional(fields.site_id, |value| SiteId::parse(value.as_str()?).ok());
        let installed_at = optional(fields.installed_at, |value| {
            value.as_u64().map(Timestamp).filter(|at| (Timestamp(1)..=now).contains(at))
        });
        let plan = optional(fields.plan, |value| product(&value));
        Ok(Self {
            refresh_token: refresh_token.map_err(|()| or("refresh_token must be printable ASCII without spaces"))?,
            site: site.map_err(|()| or("site_id must be a GUID"))?,
            installed_at: installed_at
                .map_err(|()| or("installed_at must be a whole number of Unix seconds that is not in the future"))?,
            plan: plan.map_err(|()| or("plan must be a text of 1 to 100 characters without control characters"))?,
            instance,
        })
    }

    /// What is recorded of the installation. Wix confirmed it at `now`, which also ends an earlier removal. A plan has the
    /// earliest time possible, so that an event of Wix's about the plan counts in its place.
    fn facts(&self, now: Timestamp, site: Option<SiteId>, is_custom: bool, is_present: bool) -> Vec<Fact> {
        let site = site.or_else(|| self.site.clone());
        let mut facts = vec![Fact::new(now, Kind::Listed)];
        if is_custom {
            facts.push(Fact::new(now, Kind::Connected { site: site.clone() }));
        }
        facts.extend(site.map(|site| Fact::new(now, Kind::Site { site })));
        if is_present {
            return facts;
        }
        facts.extend(self.installed_at.map(|at| Fact::new(at, Kind::Installed { origin: None })));
        if let Some(plan) = self.plan.clone() {
            let kind = Kind::Plan { plan, cycle: None, expires_at: None, auto_renewing: None };
            facts.push(Fact::new(self.installed_at.unwrap_or(Timestamp(0)), kind));
        }
        facts
    }
}

/// Reads a field. `null` counts as absent.
fn optional<T>(value: Value, read: impl Fn(Value) -> Option<T>) -> Result<Option<T>, ()> {
    if value.is_null() { Ok(None) } else { read(value).map(Some).ok_or(()) }
}

/// Imports the installation of a line: by its object, if objects are bound. `text` is the line.
pub async fn import<P: Ports>(cx: &Context<'_, P>, line: &Line, text: &str) -> ImportOutcome {
    if !cx.settings.events.is_bound {
        return import_line(cx, line, async |_, _| Ok(())).await;
    }
    let deadline = cx.platform.now_millis() + DEADLINE_MILLIS + OBJECT_MARGIN;
    match ask(cx.platform, line.instance.as_str(), requests::IMPORT, text, deadline).await {
        Ok((200, outcome)) => {
            let outcome = ImportOutcome::ALL.into_iter().find(|known| known.as_str() == outcome);
            outcome.unwrap_or(ImportOutcome::Failed)
        }
        Ok(_) => ImportOutcome::Failed,
        Err(error) => {
            cx.note::<()>(Err(error));
            ImportOutcome::Failed
        }
    }
}

/// Imports the installation of a line here, with a log line of its own if Wix was asked. `adopt` is given the facts before
/// they are stored.
pub async fn import_line<P: Ports>(
    cx: &Context<'_, P>,
    line: &Line,
    adopt: impl AsyncFn(&InstanceId, &[Fact]) -> Result<(), InstanceError>,
) -> ImportOutcome {
    let work = cx.work.sibling(cx.platform, "import line", &line.instance);
    let cx = cx.of(&work);
    let outcome = match store_confirmed(&cx, line, adopt).await {
        Ok(outcome) => outcome,
        Err(error) => {
            cx.note::<()>(Err(error));
            ImportOutcome::Failed
        }
    };
    if outcome != ImportOutcome::Known {
        cx.trace().outcome(outcome.as_str());
        cx.trace().write(cx.platform, None);
    }
    outcome
}

async fn store_confirmed<P: Ports>(
    cx: &Context<'_, P>,
    line: &Line,
    adopt: impl AsyncFn(&InstanceId, &[Fact]) -> Result<(), InstanceError>,
) -> Result<ImportOutcome, InstanceError> {
    let id = &line.instance;
    // KV says what is known: the object may have the facts of an import that was interrupted before KV had them. Without a
    // state before them, the facts change nothing that is told to the app.
    let store = cx.store().reporting(false).of_object(None);
    let known = store.instance(id).await?;
    let is_present = known.is_some_and(|known| matches!(known.status, Status::Installed | Status::NeedsReconnect));
    if is_present && !has_another_token(&store, line).await? {
        return Ok(ImportOutcome::Known);
    }
    let Some((site, refresh_token)) = confirmed(cx, line).await? else { return Ok(ImportOutcome::Refused) };
    let facts = line.facts(cx.now(), site, refresh_token.is_some(), is_present);
    adopt(id, &facts).await?;
    // The rechecks of a long import would delay those of all other installations for hours.
    let is_rechecked = cx.settings.events.is_bound && cx.settings.events.recheck_seconds.is_some();
    store.record_import(id, facts, refresh_token.as_ref(), cx.now(), is_rechecked).await?;
    cx.cache.cool_downs.clear(id);
    Ok(ImportOutcome::Imported)
}

/// Whether the line has a refresh token that is not stored.
async fn has_another_token<P: Ports>(store: &Store<'_, P>, line: &Line) -> Result<bool, StoreError> {
    let Some(token) = &line.refresh_token else { return Ok(false) };
    Ok(match store.refresh_token(&line.instance).await? {
        Stored::Value(stored) => !stored.same_as(token),
        Stored::Absent | Stored::Unreadable => true,
    })
}

/// The site and the refresh token, if Wix issues a token that belongs to the app and the instance. `None` if Wix refuses. One
/// refusal suffices, since it erases nothing.
async fn confirmed<P: Ports>(
    cx: &Context<'_, P>,
    line: &Line,
) -> Result<Option<(Option<SiteId>, Option<RefreshToken>)>, InstanceError> {
    let wix = cx.wix();
    let grant = match &line.refresh_token {
        Some(token) => wix.refresh_token(token).await,
        None => wix.client_credentials(&line.instance).await,
    };
    let grant = match grant {
        Err(WixError::Refused(_)) => return Ok(None),
        grant => grant?,
    };
    let info = match wix.token_info(&grant.token.access_token).await {
        Err(WixError::Refused(_)) => return Ok(None),
        info => info?,
    };
    let proven = info.prove(&cx.settings.wix.app_id).ok().filter(|(instance, _)| *instance == line.instance);
    // Wix may replace a refresh token.
    Ok(proven.map(|(_, site)| (site, line.refresh_token.clone().map(|given| grant.refresh_token.unwrap_or(given)))))
}
