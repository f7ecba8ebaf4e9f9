//! Properties of the fold for random facts.

use proptest::prelude::*;

use super::*;
use crate::facts::{Name, latest_of};
use crate::values::Ref;

fn any_fact() -> impl Strategy<Value = Fact> {
    let kind = prop_oneof![
        Just(Kind::Installed { origin: None }),
        Just(Kind::Installed { origin: Some(InstanceId::parse(VICTIM).unwrap()) }),
        Just(Kind::Removed),
        Just(Kind::Connected { site: None }),
        Just(Kind::Connected { site: Some(SiteId::parse(SITE).unwrap()) }),
        Just(Kind::Joined { site: None }),
        Just(Kind::Joined { site: Some(SiteId::parse(SITE).unwrap()) }),
        Just(Kind::Seen),
        "[a-c]".prop_map(|plan| Kind::Plan { plan, cycle: None, expires_at: None, auto_renewing: None }),
        Just(Kind::Configured),
        Just(Kind::Healed),
        Just(Kind::Refused),
        Just(Kind::Accepted),
        Just(Kind::Present),
        (any::<bool>(), prop::option::of(0_u64..12)).prop_map(|(is_free, ends)| Kind::Billed {
            is_free,
            plan: (!is_free).then(|| "a".to_owned()),
            cycle: None,
            expires_at: ends.map(Timestamp),
            auto_renewing: ends.map(|ends| ends > 5),
            trial_ends_at: None,
        }),
        prop::option::of("[a-c]").prop_map(|plan| Kind::Cancelled { plan, cycle: None }),
        Just(Kind::BillingChanged),
        "[a-c]".prop_map(|name| Kind::Described {
            name: Some(name),
            url: None,
            locale: None,
            currency: None,
            app_version: None
        }),
        "[a-c]".prop_map(|text| Kind::Referred { reference: Ref::parse(&text).unwrap() }),
        Just(Kind::Created),
        Just(Kind::Listed),
        Just(Kind::Deleted),
        Just(Kind::Site { site: SiteId::parse(SITE).unwrap() }),
    ];
    (0_u64..8, kind).prop_map(|(seconds, kind)| at(seconds, kind))
}

proptest! {
    #[test]
    fn neither_order_nor_repetition_changes_an_instance(
        (facts, shuffled) in prop::collection::vec(any_fact(), 1..12)
            .prop_flat_map(|facts| (Just(facts.clone()), Just([facts.clone(), facts].concat()).prop_shuffle()))
    ) {
        prop_assert_eq!(fold(&id(), &facts), fold(&id(), &shuffled));
    }

    #[test]
    fn dropping_outdated_facts_never_changes_the_fold(
        facts in prop::collection::vec(any_fact(), 1..12),
        later in prop::collection::vec(any_fact(), 0..6),
    ) {
        let dropped: Vec<Fact> = outdated(&facts).into_iter().cloned().collect();
        let remaining: Vec<Fact> = facts.iter().filter(|fact| !dropped.contains(fact)).cloned().collect();
        prop_assert_eq!(fold(&id(), &remaining), fold(&id(), &facts));
        prop_assert_eq!(fold(&id(), &[remaining, later.clone()].concat()), fold(&id(), &[facts, later].concat()));
    }

    #[test]
    fn every_record_can_be_read_again(facts in prop::collection::vec(any_fact(), 1..12)) {
        let instance = folded(&facts);
        let text = serde_json::to_string(&instance).unwrap();
        prop_assert_eq!(serde_json::from_str::<Instance>(&text).unwrap(), instance);
        for fact in facts {
            let text = serde_json::to_string(&fact).unwrap();
            prop_assert_eq!(Fact::from_json(&text), Some(fact));
        }
    }

    #[test]
    fn a_removal_counts_if_it_is_later_than_every_installation(facts in prop::collection::vec(any_fact(), 1..12)) {
        use Name::{Connected, Created, Deleted, Installed, Joined, Listed, Present, Removed};
        let latest = |names: &[Name]| {
            // A deletion erases what was known before it.
            let deleted = latest_of(&facts, &[Deleted]);
            latest_of(&facts, names).filter(|at| Some(*at) >= deleted)
        };
        let removed = latest_of(&facts, &[Removed]);
        let is_denied = latest(&[Present]) >= removed && latest_of(&facts, &[Deleted]) < removed;
        let is_removed = removed > latest(&[Installed, Created, Connected, Joined])
            && removed >= latest(&[Listed])
            && removed.is_some()
            && !is_denied;
        let instance = folded(&facts);
        prop_assert_eq!(instance.status == Status::Removed, is_removed);
        prop_assert_eq!(instance.removed_at.is_some(), is_removed);
    }
}
