//! The fold: facts in, the current state of the instance out.

use super::{Auth, Fact, Instance, Kind, LastToken, Name, Status, TokenOutcome};
use crate::values::{InstanceId, Timestamp};

/// Adds a fact to a set that has the latest fact of each kind, ordered by the kinds' names. All facts of unknown kinds
/// stay.
pub fn join(known: &mut Vec<Fact>, fact: Fact) {
    if fact.kind.name() == Name::Foreign {
        if let Err(place) = known.binary_search_by(|known| (known.kind.name(), known).cmp(&(Name::Foreign, &fact))) {
            known.insert(place, fact);
        }
        return;
    }
    match known.binary_search_by_key(&fact.kind.name(), |known| known.kind.name()) {
        Err(place) => known.insert(place, fact),
        Ok(place) => {
            let Some(known) = known.get_mut(place) else { return };
            // The state before the first fact of a kind outlives it: its change may not have been told yet.
            let before = [known.before.take(), fact.before.clone()].into_iter().flatten().min();
            if *known < fact {
                *known = fact;
            }
            known.before = before;
        }
    }
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

/// Folds facts into the instance; `None` without facts.
#[must_use]
pub fn fold(instance: &InstanceId, facts: &[Fact]) -> Option<Instance> {
    if facts.is_empty() {
        return None;
    }
    let latest = |name: Name| latest(facts, name);
    let time = |name: Name| latest(name).map(|fact| fact.at);

    let installed = time(Name::Installed);
    let connected = time(Name::Connected);
    let joined = time(Name::Joined);
    let present = installed.max(connected).max(joined);
    // A contested removal that Wix denied does not count.
    let removed =
        time(Name::Removed).filter(|removed| present >= Some(*removed) || time(Name::Present) < Some(*removed));
    // In the same second the installation counts, so that no paying site is switched off; token requests show the truth.
    let is_removed = removed > present;
    let of_this_installation = |at: &Timestamp| removed.is_none_or(|removed| *at >= removed);

    let connected = connected.filter(of_this_installation);
    let healed = time(Name::Healed).filter(|healed| connected.is_some_and(|connected| *healed >= connected));
    let refused = time(Name::Refused).filter(|refused| {
        let answered = present.max(time(Name::Accepted)).max(healed);
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

    Some(Instance {
        instance_id: instance.clone(),
        status: match (is_removed, present, refused) {
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
        installed_at: installed
            .filter(of_this_installation)
            .or_else(|| joined.filter(of_this_installation))
            .or(connected)
            .filter(|_| !is_removed),
        removed_at: removed.filter(|_| is_removed),
        origin_instance_id: latest(Name::Installed).and_then(|fact| match &fact.kind {
            Kind::Installed { origin } => origin.clone(),
            _ => None,
        }),
        site_id: latest(Name::Connected).max(latest(Name::Joined)).and_then(|fact| match &fact.kind {
            Kind::Connected { site } | Kind::Joined { site } => site.clone(),
            _ => None,
        }),
        plan: latest(Name::Plan).and_then(|fact| match &fact.kind {
            Kind::Plan { plan } => Some(plan.clone()),
            _ => None,
        }),
        configured_at: configured.filter(|_| !is_removed),
        last_event_at: installed.max(time(Name::Removed)).max(time(Name::Plan)).max(time(Name::Seen)),
        last_token: token
            .into_iter()
            .flatten()
            .max_by_key(|(at, _)| *at)
            .map(|(at, outcome)| LastToken { at, outcome }),
    })
}

/// The superseded facts: of each known kind, all but the latest.
#[must_use]
pub fn outdated(facts: &[Fact]) -> Vec<&Fact> {
    facts
        .iter()
        .filter(|fact| fact.kind.name() != Name::Foreign)
        .filter(|fact| latest(facts, fact.kind.name()).is_some_and(|latest| latest > fact))
        .collect()
}
