use super::Change::{Installed, NeedsReconnect, PlanChanged, Reconnected, Removed};
use super::*;
use crate::facts::fold;
use crate::facts::{Fact, Kind};
use crate::values::InstanceId;

fn instance(status: Status, plan: Option<&str>) -> Instance {
    let id = InstanceId::parse("aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee").expect("an id");
    let seen = fold(&id, &[Fact::new(Timestamp(1), Kind::Seen)]).expect("an instance");
    Instance { status, plan: plan.map(str::to_owned), ..seen }
}

/// Every status that was told, against every status that is found: what is told, and what counts as told afterwards.
#[test]
fn every_pair_of_states_has_its_changes() {
    use Status as S;
    let table: [(Option<S>, S, &[Change], S); 20] = [
        (None, S::Pending, &[], S::Pending),
        (None, S::Installed, &[Installed], S::Installed),
        (None, S::NeedsReconnect, &[Installed, NeedsReconnect], S::NeedsReconnect),
        (None, S::Removed, &[Removed], S::Removed),
        (Some(S::Pending), S::Pending, &[], S::Pending),
        (Some(S::Pending), S::Installed, &[Installed], S::Installed),
        (Some(S::Pending), S::NeedsReconnect, &[Installed, NeedsReconnect], S::NeedsReconnect),
        (Some(S::Pending), S::Removed, &[Removed], S::Removed),
        (Some(S::Installed), S::Pending, &[], S::Installed),
        (Some(S::Installed), S::Installed, &[], S::Installed),
        (Some(S::Installed), S::NeedsReconnect, &[NeedsReconnect], S::NeedsReconnect),
        (Some(S::Installed), S::Removed, &[Removed], S::Removed),
        (Some(S::NeedsReconnect), S::Pending, &[Reconnected], S::Installed),
        (Some(S::NeedsReconnect), S::Installed, &[Reconnected], S::Installed),
        (Some(S::NeedsReconnect), S::NeedsReconnect, &[], S::NeedsReconnect),
        (Some(S::NeedsReconnect), S::Removed, &[Removed], S::Removed),
        (Some(S::Removed), S::Pending, &[Installed], S::Installed),
        (Some(S::Removed), S::Installed, &[Installed], S::Installed),
        (Some(S::Removed), S::NeedsReconnect, &[Installed, NeedsReconnect], S::NeedsReconnect),
        (Some(S::Removed), S::Removed, &[], S::Removed),
    ];
    for (told, status, wanted, after) in table {
        let told = State { status: told, ..State::default() };
        let (changes, state) = changes(&told, &instance(status, None));
        assert_eq!((changes.as_slice(), state.status), (wanted, Some(after)), "{told:?} {status:?}");
        let again = super::changes(&state, &instance(status, None));
        assert_eq!(again, (Vec::new(), state), "told twice: {told:?} {status:?}");
    }
}

#[test]
fn a_plan_is_told_of_an_instance_that_is_not_removed() {
    let told =
        |plan: Option<&str>| State { status: Some(Status::Installed), plan: plan.map(str::to_owned), is_free: None };
    let found = |told: &State, status, plan| changes(told, &instance(status, plan));
    assert_eq!(found(&told(None), Status::Installed, Some("pro")), (vec![PlanChanged], told(Some("pro"))));
    assert_eq!(found(&told(Some("pro")), Status::Installed, None), (vec![PlanChanged], told(None)));
    assert_eq!(found(&told(Some("pro")), Status::Installed, Some("pro")).0, []);
    // The plan of a removed instance is not told, so that a plan that is there again after it is none either.
    let (changes, removed) = found(&told(Some("pro")), Status::Removed, None);
    assert_eq!((changes, removed.plan.as_deref()), (vec![Removed], Some("pro")));
    assert_eq!(found(&removed, Status::Installed, Some("pro")).0, [Installed]);
    assert_eq!(found(&removed, Status::Installed, None).0, [Installed, PlanChanged]);
    let reconnect = State { status: Some(Status::NeedsReconnect), ..told(None) };
    assert_eq!(found(&reconnect, Status::Installed, Some("pro")).0, [Reconnected, PlanChanged]);
    assert_eq!(found(&told(None), Status::NeedsReconnect, Some("pro")).0, [NeedsReconnect, PlanChanged]);
}
