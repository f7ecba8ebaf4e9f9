//! The fold: facts in, the current state of the instance out.

use super::billing::Bill;
use super::{Auth, Billing, Fact, Instance, Kind, LastToken, Name, SiteInfo, Status, TokenOutcome};
use crate::values::{InstanceId, SiteId, Timestamp};

/// How many facts [`Kind::Listed`] are kept: the earliest ones after the latest removal, since a reinstallation may be told by
/// the first of them alone and a removal between two of them may come late, and the latest.
const LISTED: usize = 16;

/// Adds a fact to a set that has the facts that count, ordered by the kinds' names: of each kind the latest, of
/// [`Kind::Listed`] more. All facts of unknown kinds stay.
pub fn join(known: &mut Vec<Fact>, fact: Fact) {
    let name = fact.kind.name();
    match known.binary_search_by(|known| (known.kind.name(), known).cmp(&(name, &fact))) {
        Err(place) => known.insert(place, fact),
        Ok(place) => {
            let Some(known) = known.get_mut(place) else { return };
            let before = known.before.take();
            known.before = first([before, fact.before]);
            return;
        }
    }
    let dropped: Vec<Fact> = outdated(known).into_iter().cloned().collect();
    for fact in dropped {
        known.retain(|known| *known != fact);
        // The state before the first fact of a kind outlives it: its change may not have been told yet.
        let place = |name| known.iter().rposition(|known| known.kind.name() == name);
        let place = place(fact.kind.name()).or_else(|| place(Name::Deleted));
        if let Some(heir) = place.and_then(|place| known.get_mut(place)) {
            let before = heir.before.take();
            heir.before = first([before, fact.before]);
        }
    }
}

fn first<T: Ord>(states: [Option<T>; 2]) -> Option<T> {
    states.into_iter().flatten().min()
}

/// The latest fact of a kind.
#[must_use]
pub fn latest(facts: &[Fact], name: Name) -> Option<&Fact> {
    facts.iter().filter(|fact| fact.kind.name() == name).max()
}

/// The time of the latest fact among these kinds.
#[must_use]
pub fn latest_of(facts: &[Fact], names: &[Name]) -> Option<Timestamp> {
    names.iter().filter_map(|name| latest(facts, *name)).map(|fact| fact.at).max()
}

/// Whether a deletion erases the fact: all that was known before it, but not that the app is removed.
fn is_erased(fact: &Fact, deleted: Option<Timestamp>) -> bool {
    Some(fact.at) < deleted && !matches!(fact.kind.name(), Name::Removed | Name::Deleted | Name::Foreign)
}

/// Folds facts into the instance; `None` without facts.
#[must_use]
pub fn fold(instance: &InstanceId, facts: &[Fact]) -> Option<Instance> {
    if facts.is_empty() {
        return None;
    }
    let deleted = latest_of(facts, &[Name::Deleted]);
    let latest = |name: Name| latest(facts, name).filter(|fact| !is_erased(fact, deleted));
    let time = |name: Name| latest(name).map(|fact| fact.at);

    let installed = time(Name::Installed);
    let created = time(Name::Created);
    let connected = time(Name::Connected);
    let joined = time(Name::Joined);
    let listed = time(Name::Listed);
    let present = installed.max(created).max(connected).max(joined);
    // In the same second the installation counts, so that no paying site is switched off; token requests show the truth. An
    // update, which any change causes, counts only if it is later.
    let is_ended = |removed: Timestamp| present >= Some(removed) || listed > Some(removed);
    // A contested removal that Wix denied does not count.
    let removed = time(Name::Removed)
        .filter(|removed| is_ended(*removed) || deleted >= Some(*removed) || time(Name::Present) < Some(*removed));
    let is_removed = removed.is_some_and(|removed| !is_ended(removed));
    let of_this_installation = |at: &Timestamp| removed.is_none_or(|removed| *at >= removed);
    let relisted = removed.and_then(|removed| first_listed(facts, removed, deleted));

    let connected = connected.filter(of_this_installation);
    let healed = time(Name::Healed).filter(|healed| connected.is_some_and(|connected| *healed >= connected));
    let refused = time(Name::Refused).filter(|refused| {
        let answered = present.max(relisted).max(time(Name::Accepted)).max(healed);
        // In the same second the token counts: a permanent refusal repeats.
        answered.is_none_or(|answered| *refused > answered)
    });
    let configured = time(Name::Configured).filter(of_this_installation);
    let token = [
        // In the same second the later entry of this array counts.
        connected.max(time(Name::Accepted)).map(|at| (at, TokenOutcome::Ok)),
        healed.map(|at| (at, TokenOutcome::Healed)),
        refused.map(|at| (at, TokenOutcome::Refused)),
    ];
    let billing = |name: Name| latest(name).filter(|fact| !is_removed && of_this_installation(&fact.at));
    let bill = Bill::fold(Bill::NAMES.map(billing));
    let description = latest(Name::Described).and_then(description_of);
    let events = [
        Name::Installed,
        Name::Created,
        Name::Listed,
        Name::Removed,
        Name::Deleted,
        Name::Plan,
        Name::Cancelled,
        Name::BillingChanged,
        Name::Seen,
    ];

    Some(Instance {
        instance_id: instance.clone(),
        status: match (is_removed, present.or(listed), refused) {
            (true, ..) => Status::Removed,
            (false, _, Some(_)) => Status::NeedsReconnect,
            (false, Some(_), None) => Status::Installed,
            (false, None, None) => Status::Pending,
        },
        auth: match (connected, healed) {
            (None, _) => Auth::Oauth,
            (Some(_), None) => Auth::Custom,
            (Some(_), Some(_)) => Auth::CustomHealed,
        },
        installed_at: [installed, created, relisted, joined, connected]
            .into_iter()
            .find_map(|at| at.filter(of_this_installation))
            .filter(|_| !is_removed),
        removed_at: removed.filter(|_| is_removed),
        origin_instance_id: latest(Name::Installed).and_then(|fact| match &fact.kind {
            Kind::Installed { origin } => origin.clone(),
            _ => None,
        }),
        // The site of an instance never changes.
        site_id: latest(Name::Site)
            .or_else(|| latest(Name::Connected).max(latest(Name::Joined)))
            .and_then(|fact| site_of(&fact.kind))
            .cloned(),
        site: description.as_ref().map(|(site, _)| site.clone()).filter(|site| *site != SiteInfo::default()),
        app_version: description.and_then(|(_, version)| version),
        plan: bill.plan,
        is_free: bill.is_free,
        billing: Some(bill.billing).filter(|billing| *billing != Billing::default()),
        // A removed installation keeps it. An installation without a flow of the app's does not inherit it.
        reference: latest(Name::Referred).filter(|fact| is_removed || of_this_installation(&fact.at)).and_then(
            |fact| match &fact.kind {
                Kind::Referred { reference } => Some(reference.clone()),
                _ => None,
            },
        ),
        configured_at: configured.filter(|_| !is_removed),
        last_event_at: events.into_iter().filter_map(time).max(),
        last_token: token
            .into_iter()
            .flatten()
            .max_by_key(|(at, _)| *at)
            .map(|(at, outcome)| LastToken { at, outcome }),
        corrected: None,
    })
}

fn site_of(kind: &Kind) -> Option<&SiteId> {
    match kind {
        Kind::Connected { site } | Kind::Joined { site } => site.as_ref(),
        Kind::Site { site } => Some(site),
        _ => None,
    }
}

/// The site, and the app's version on it.
fn description_of(fact: &Fact) -> Option<(SiteInfo, Option<String>)> {
    let Kind::Described { name, url, locale, currency, app_version } = fact.kind.clone() else { return None };
    Some((SiteInfo { name, url, locale, currency }, app_version))
}

/// When an update first said, after a removal, that the app is installed.
fn first_listed(facts: &[Fact], removed: Timestamp, deleted: Option<Timestamp>) -> Option<Timestamp> {
    let later = facts.iter().filter(|fact| fact.kind == Kind::Listed && fact.at > removed && !is_erased(fact, deleted));
    later.map(|fact| fact.at).min()
}

/// The superseded facts: of each known kind, all but the latest, and those that a deletion erases. [`LISTED`] says which of
/// its kind stay.
#[must_use]
pub fn outdated(facts: &[Fact]) -> Vec<&Fact> {
    let (removed, deleted) = (latest_of(facts, &[Name::Removed]), latest_of(facts, &[Name::Deleted]));
    let mut listed: Vec<&Fact> = Vec::new();
    for fact in facts {
        let is_listed = fact.kind == Kind::Listed && Some(fact.at) > removed && !is_erased(fact, deleted);
        if is_listed && !listed.contains(&fact) {
            listed.push(fact);
        }
    }
    // Without a sort, which would be 3 kB of wasm.
    let is_early = |fact: &Fact| listed.iter().filter(|other| **other < fact).count() < LISTED - 1;
    facts
        .iter()
        .filter(|fact| fact.kind.name() != Name::Foreign)
        .filter(|fact| {
            let is_superseded = latest(facts, fact.kind.name()).is_some_and(|latest| latest > fact);
            is_erased(fact, deleted) || (is_superseded && !(listed.contains(fact) && is_early(fact)))
        })
        .collect()
}
