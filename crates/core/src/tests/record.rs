//! The fold, and the form of facts and rows.

mod any;
mod histories;
mod installations;
mod plans;
mod stale_reads;
mod versions;

use serde_json::{Value, json};

use crate::facts::{Auth, Fact, Instance, Kind, Row, Status, TokenOutcome, fold, outdated};
use crate::store::keys;
use crate::testing::jws;
use crate::testing::world::{INSTANCE, SITE, VICTIM, World};
use crate::values::{InstanceId, SiteId, Timestamp};

fn id() -> InstanceId {
    InstanceId::parse(INSTANCE).unwrap()
}

fn at(seconds: u64, kind: Kind) -> Fact {
    Fact::new(Timestamp(seconds), kind)
}

fn installed(seconds: u64) -> Fact {
    at(seconds, Kind::Installed { origin: None })
}

fn cloned(seconds: u64) -> Fact {
    at(seconds, Kind::Installed { origin: Some(InstanceId::parse(VICTIM).unwrap()) })
}

fn removed(seconds: u64) -> Fact {
    at(seconds, Kind::Removed)
}

fn connected(seconds: u64) -> Fact {
    at(seconds, Kind::Connected { site: Some(SiteId::parse(SITE).unwrap()) })
}

fn joined_at(seconds: u64) -> Fact {
    at(seconds, Kind::Joined { site: Some(SiteId::parse(SITE).unwrap()) })
}

fn plan(seconds: u64, plan: &str) -> Fact {
    at(seconds, Kind::Plan { plan: plan.to_owned(), cycle: None, expires_at: None, auto_renewing: None })
}

fn folded(facts: &[Fact]) -> Instance {
    fold(&id(), facts).expect("an instance")
}

fn status(facts: &[Fact]) -> Status {
    folded(facts).status
}

/// Calls `visit` with every order of the items.
fn permutations<T: Clone>(items: &[T], visit: &mut impl FnMut(&[T])) {
    fn rest<T: Clone>(done: &mut Vec<T>, left: &[T], visit: &mut impl FnMut(&[T])) {
        if left.is_empty() {
            return visit(done);
        }
        for at in 0..left.len() {
            let mut left = left.to_vec();
            done.push(left.remove(at));
            rest(done, &left, visit);
            done.pop();
        }
    }
    rest(&mut Vec::new(), items, visit);
}

#[test]
fn without_facts_there_is_no_instance() {
    assert_eq!(fold(&id(), &[]), None);
}

#[test]
fn facts_fold_to_the_same_instance_in_any_order_and_repetition() {
    let sets = [
        vec![installed(10), removed(20), installed(30), connected(31), cloned(12), plan(15, "pro")],
        vec![installed(10), removed(20), connected(20), plan(20, "pro"), plan(21, "max"), removed(19)],
        vec![cloned(10), installed(10), removed(10), at(10, Kind::Seen), connected(10), at(10, Kind::Refused)],
        vec![joined_at(10), removed(20), joined_at(20), connected(15), installed(12), at(21, Kind::Refused)],
        vec![joined_at(10), at(10, Kind::Joined { site: None }), removed(10), plan(9, "pro"), at(11, Kind::Healed)],
        vec![connected(5), at(6, Kind::Refused), at(7, Kind::Healed), at(8, Kind::Refused), at(9, Kind::Accepted)],
        vec![
            installed(1),
            at(2, Kind::Configured),
            removed(3),
            installed(4),
            at(5, Kind::Configured),
            at(2, Kind::Seen),
        ],
    ];
    for facts in sets {
        let expected = folded(&facts);
        let mut orders = 0;
        permutations(&facts, &mut |order| {
            orders += 1;
            assert_eq!(folded(order), expected, "{order:?}");
            let twice: Vec<Fact> = order.iter().flat_map(|fact| [fact.clone(), order[0].clone()]).collect();
            assert_eq!(folded(&twice), expected, "{twice:?}");
            // Adds the facts one by one, and drops the outdated ones each time.
            let mut stored: Vec<Fact> = Vec::new();
            for fact in order {
                stored.push(fact.clone());
                let dropped: Vec<Fact> = outdated(&stored).into_iter().cloned().collect();
                stored.retain(|fact| !dropped.contains(fact));
            }
            assert_eq!(folded(&stored), expected, "{order:?}");
        });
        assert_eq!(orders, (1..=facts.len()).product::<usize>());
    }
}

#[test]
fn webhooks_yield_the_same_instance_in_any_order_and_repetition() {
    const AT: u64 = crate::testing::clock::START;
    let messages = [
        jws::installed(INSTANCE, AT - 40),
        jws::removed(INSTANCE, AT - 30),
        jws::event(
            "AppInstalled",
            INSTANCE,
            &json!({"appId": crate::testing::world::APP_ID, "originInstanceId": VICTIM}),
            AT - 20,
        ),
        jws::event("PaidPlanPurchased", INSTANCE, &json!({"vendorProductId": "pro"}), AT - 10),
    ];
    permutations(&messages, &mut |order| {
        let world = World::new();
        for message in order.iter().chain(&order[..2]) {
            assert_eq!(world.webhook(message.clone()).status, 200);
        }
        assert_eq!(
            world.instance(INSTANCE),
            json!({
                "instance_id": INSTANCE,
                "status": "installed",
                "auth": "oauth",
                "installed_at": AT - 20,
                "origin_instance_id": VICTIM,
                "plan": "pro",
                "is_free": false,
                "last_event_at": AT - 10,
            })
        );
    });
}

#[test]
fn the_latest_of_installation_and_removal_counts() {
    assert_eq!(status(&[installed(10)]), Status::Installed);
    assert_eq!(status(&[installed(10), removed(20)]), Status::Removed);
    assert_eq!(status(&[installed(10), removed(20), installed(30)]), Status::Installed);
    assert_eq!(
        status(&[installed(30), removed(20)]),
        Status::Installed,
        "an older removal does not count, though it came later"
    );
    assert_eq!(status(&[connected(30), removed(20)]), Status::Installed);
    assert_eq!(status(&[connected(10), removed(20)]), Status::Removed);
    assert_eq!(status(&[removed(20)]), Status::Removed);
    assert_eq!(status(&[at(5, Kind::Seen)]), Status::Pending);
    assert_eq!(status(&[plan(5, "pro")]), Status::Pending);
    assert_eq!(status(&[at(50, Kind::Seen), installed(10), removed(20)]), Status::Removed);
}

#[test]
fn in_the_same_second_the_installation_counts() {
    for installation in [installed(20), connected(20), cloned(20)] {
        let instance = folded(&[installation, removed(20)]);
        assert_eq!(instance.status, Status::Installed);
        assert_eq!((instance.removed_at, instance.installed_at), (None, Some(Timestamp(20))));
    }
}

#[test]
fn a_removal_hides_the_fields_of_the_installation() {
    let facts = [connected(10), at(11, Kind::Configured), plan(12, "pro"), removed(20)];
    let instance = folded(&facts);
    assert_eq!(instance.removed_at, Some(Timestamp(20)));
    assert_eq!((instance.installed_at, instance.configured_at, instance.auth), (None, None, Auth::Oauth));
}

#[test]
fn configured_at_belongs_to_the_current_installation() {
    let first = [installed(10), at(12, Kind::Configured)];
    assert_eq!(folded(&first).configured_at, Some(Timestamp(12)));
    let again = [&first[..], &[removed(20), installed(30)]].concat();
    assert_eq!(folded(&again).configured_at, None);
    let configured = [&again[..], &[at(33, Kind::Configured)]].concat();
    assert_eq!(folded(&configured).configured_at, Some(Timestamp(33)));
}

#[test]
fn a_refresh_token_belongs_to_the_current_installation() {
    assert_eq!(folded(&[installed(1)]).auth, Auth::Oauth);
    assert_eq!(folded(&[connected(10)]).auth, Auth::Custom);
    assert_eq!(folded(&[connected(10), removed(20), installed(30)]).auth, Auth::Oauth);
    assert_eq!(folded(&[connected(10), removed(20), connected(30)]).auth, Auth::Custom);
}

#[test]
fn healing_lasts_until_the_next_consent() {
    assert_eq!(folded(&[connected(10), at(20, Kind::Healed)]).auth, Auth::CustomHealed);
    assert_eq!(folded(&[connected(30), at(20, Kind::Healed), connected(10)]).auth, Auth::Custom);
    assert_eq!(folded(&[installed(10), at(20, Kind::Healed)]).auth, Auth::Oauth);
}

#[test]
fn a_refusal_counts_until_the_next_token_or_consent() {
    let refused = [connected(10), at(20, Kind::Refused)];
    assert_eq!(status(&refused), Status::NeedsReconnect);
    for later in [at(30, Kind::Accepted), at(30, Kind::Healed), installed(30), connected(30)] {
        assert_eq!(status(&[&refused[..], std::slice::from_ref(&later)].concat()), Status::Installed, "{later:?}");
    }
    for older in [at(15, Kind::Accepted), at(15, Kind::Healed), installed(15)] {
        assert_eq!(status(&[&refused[..], std::slice::from_ref(&older)].concat()), Status::NeedsReconnect, "{older:?}");
    }
    for other in [at(30, Kind::Seen), plan(30, "pro"), at(30, Kind::Configured)] {
        assert_eq!(status(&[&refused[..], std::slice::from_ref(&other)].concat()), Status::NeedsReconnect, "{other:?}");
    }
    assert_eq!(status(&[&refused[..], &[removed(30)]].concat()), Status::Removed);
    assert_eq!(
        status(&[&refused[..], &[at(30, Kind::Accepted), at(40, Kind::Refused)]].concat()),
        Status::NeedsReconnect
    );
}

#[test]
fn last_token_shows_the_latest_change_about_tokens() {
    let last = |facts: &[Fact]| folded(facts).last_token.map(|last| (last.at.0, last.outcome));
    assert_eq!(last(&[installed(10)]), None);
    assert_eq!(last(&[connected(10)]), Some((10, TokenOutcome::Ok)));
    assert_eq!(last(&[installed(10), at(20, Kind::Refused)]), Some((20, TokenOutcome::Refused)));
    assert_eq!(last(&[installed(10), at(20, Kind::Refused), at(30, Kind::Accepted)]), Some((30, TokenOutcome::Ok)));
    assert_eq!(last(&[connected(10), at(20, Kind::Healed)]), Some((20, TokenOutcome::Healed)));
}

#[test]
fn last_event_at_counts_only_events_of_wix() {
    let facts = [installed(10), plan(15, "pro"), connected(30), at(40, Kind::Configured), at(50, Kind::Refused)];
    assert_eq!(folded(&facts).last_event_at, Some(Timestamp(15)));
    assert_eq!(folded(&[connected(30)]).last_event_at, None);
    assert_eq!(folded(&[removed(20), at(25, Kind::Seen)]).last_event_at, Some(Timestamp(25)));
}

#[test]
fn the_latest_plan_counts_in_any_order() {
    assert_eq!(folded(&[plan(20, "max"), plan(10, "pro")]).plan.as_deref(), Some("max"));
}

#[test]
fn an_instance_has_exactly_the_documented_fields() {
    let facts = [cloned(10), connected(11), plan(12, "pro"), at(13, Kind::Configured), at(14, Kind::Healed)];
    assert_eq!(
        serde_json::to_value(folded(&facts)).unwrap(),
        json!({
            "instance_id": INSTANCE,
            "status": "installed",
            "auth": "custom_healed",
            "installed_at": 10,
            "origin_instance_id": VICTIM,
            "site_id": SITE,
            "plan": "pro",
            "is_free": false,
            "configured_at": 13,
            "last_event_at": 12,
            "last_token": {"at": 14, "outcome": "healed"},
        })
    );
    assert_eq!(
        serde_json::to_value(folded(&[removed(20)])).unwrap(),
        json!({"instance_id": INSTANCE, "status": "removed", "auth": "oauth", "removed_at": 20, "last_event_at": 20})
    );
    let names = |values: &[Value]| values.iter().map(|value| value.as_str().unwrap().to_owned()).collect::<Vec<_>>();
    let statuses = [Status::Installed, Status::Pending, Status::NeedsReconnect, Status::Removed];
    let statuses = statuses.map(|status| serde_json::to_value(status).unwrap());
    assert_eq!(names(&statuses), ["installed", "pending", "needs_reconnect", "removed"]);
    let outcomes = [TokenOutcome::Ok, TokenOutcome::Healed, TokenOutcome::Refused];
    assert_eq!(names(&outcomes.map(|outcome| serde_json::to_value(outcome).unwrap())), ["ok", "healed", "refused"]);
}

#[test]
fn a_record_with_missing_and_unknown_fields_is_read() {
    let text = format!(r#"{{"instance_id":"{INSTANCE}","status":"installed","auth":"oauth","unheard_of":[1]}}"#);
    let instance: Instance = serde_json::from_str(&text).unwrap();
    assert_eq!(instance, Instance { last_event_at: None, installed_at: None, ..folded(&[installed(1)]) });
    let fact = Fact::from_json(r#"{"at":7,"kind":"installed","unheard_of":1}"#).unwrap();
    assert_eq!((fact.at, fact.kind), (Timestamp(7), Kind::Installed { origin: None }));
}

#[test]
fn each_fact_has_one_key_of_its_own() {
    let facts = [
        installed(1),
        cloned(1),
        installed(2),
        removed(1),
        connected(1),
        plan(1, "a"),
        plan(1, "b"),
        at(1, Kind::Seen),
    ];
    let mut keys: Vec<String> = facts.iter().map(|fact| keys::fact(&id(), fact).unwrap()).collect();
    assert!(keys.iter().all(|key| key.starts_with(&keys::facts(&id()))));
    assert_eq!(keys::fact(&id(), &facts[0]).unwrap(), keys::fact(&id(), &installed(1)).unwrap());
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), facts.len());
}
