//! The two families of events about installations: `AppInstalled` and `AppRemoved`, and the App Installations events. Both
//! together, in every order and repetition, make the record that each of them makes alone.

use super::*;
use crate::facts::join;

/// An event of the life of an installation, as both families tell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Install,
    Remove,
    /// Any other change, of which only the App Installations events tell.
    Change,
}

/// The fact that `AppInstalled` or `AppRemoved` becomes.
fn older(step: Step, seconds: u64) -> Option<Fact> {
    match step {
        Step::Install => Some(installed(seconds)),
        Step::Remove => Some(removed(seconds)),
        Step::Change => None,
    }
}

/// The fact that an App Installations event becomes. Only the first installation is `created`.
fn newer(step: Step, is_first: bool, seconds: u64) -> Fact {
    match step {
        Step::Install if is_first => at(seconds, Kind::Created),
        Step::Remove => removed(seconds),
        Step::Install | Step::Change => at(seconds, Kind::Listed),
    }
}

/// All lives of an installation with this number of steps.
fn lives(length: usize) -> Vec<Vec<Step>> {
    let mut lives = vec![vec![Step::Install]];
    for _ in 1..length {
        lives = lives.into_iter().flat_map(|life| next(&life)).collect();
    }
    lives
}

fn next(life: &[Step]) -> Vec<Vec<Step>> {
    let is_there = life.iter().rfind(|step| **step != Step::Change) == Some(&Step::Install);
    let steps: &[Step] = if is_there { &[Step::Remove, Step::Change] } else { &[Step::Install] };
    steps.iter().map(|step| [life, &[*step]].concat()).collect()
}

/// The facts that are kept when these come one after the other, each twice.
fn kept(facts: &[Fact]) -> Vec<Fact> {
    let mut kept = Vec::new();
    for (place, fact) in facts.iter().enumerate() {
        join(&mut kept, fact.clone());
        // An earlier one comes again.
        join(&mut kept, facts[place / 2].clone());
    }
    kept
}

/// What a record says about the installation, without the time of the last event: the older family tells fewer.
fn told(facts: &[Fact]) -> Instance {
    Instance { last_event_at: None, ..folded(facts) }
}

#[test]
fn both_families_make_the_record_that_each_makes_alone() {
    let mut orders = 0;
    for length in 1..=6 {
        for life in lives(length) {
            let timed = || life.iter().enumerate().map(|(place, step)| (*step, place == 0, 10 * (place as u64 + 1)));
            let newer: Vec<Fact> = timed().map(|(step, is_first, at)| newer(step, is_first, at)).collect();
            let older: Vec<Fact> = timed().filter_map(|(step, _, at)| older(step, at)).collect();
            let (wanted, full) = (told(&older), folded(&newer));
            assert_eq!(told(&newer), wanted, "{life:?}");
            // Which of an event's two messages come: both, or either one.
            let mixed: Vec<Fact> = older.iter().chain(&newer).cloned().collect();
            assert_eq!(told(&mixed), wanted, "{life:?}");
            permutations(&newer, &mut |order| {
                orders += 1;
                assert_eq!(folded(order), full, "{order:?}");
                assert_eq!(folded(&kept(order)), full, "{order:?}");
                // Each message of the older family comes after the newer ones, or before them.
                for both in [[order, &older].concat(), [&older, order].concat()] {
                    assert_eq!(folded(&kept(&both)), full, "{both:?}");
                }
            });
            if mixed.len() <= 6 {
                permutations(&mixed, &mut |order| {
                    orders += 1;
                    assert_eq!(folded(&kept(order)), full, "{order:?}");
                });
            }
        }
    }
    println!("{orders} orders");
}

#[test]
fn an_update_installs_only_after_a_removal_or_as_the_only_fact() {
    let listed = |seconds| at(seconds, Kind::Listed);
    let alone = folded(&[listed(10)]);
    assert_eq!((alone.status, alone.installed_at), (Status::Installed, None));
    let known = [installed(10), listed(20), listed(30)];
    assert_eq!(folded(&known).installed_at, Some(Timestamp(10)));
    let again = folded(&[&known[..], &[removed(25)]].concat());
    assert_eq!((again.status, again.installed_at), (Status::Installed, Some(Timestamp(30))));
    let same_second = folded(&[installed(10), removed(20), listed(20)]);
    assert_eq!(same_second.status, Status::Removed, "an update counts only if it is later");
    assert_eq!(status(&[installed(10), at(20, Kind::Refused), listed(30)]), Status::NeedsReconnect, "it moves nothing");
    assert_eq!(
        status(&[installed(10), at(20, Kind::Refused), removed(25), listed(30)]),
        Status::Installed,
        "an installation ends a refusal"
    );
}

#[test]
fn of_many_updates_the_first_after_the_removal_and_the_latest_are_kept() {
    let mut facts = vec![installed(10), removed(20)];
    facts.extend((30..200).map(|seconds| at(seconds, Kind::Listed)));
    let kept = kept(&facts);
    assert_eq!(folded(&kept), folded(&facts));
    assert_eq!(folded(&kept).installed_at, Some(Timestamp(30)));
    let times: Vec<u64> = kept.iter().filter(|fact| fact.kind == Kind::Listed).map(|fact| fact.at.0).collect();
    assert_eq!((times.len(), times.last()), (16, Some(&199)));
    let later = [&kept[..], &[removed(198)]].concat();
    assert_eq!(folded(&later).installed_at, Some(Timestamp(199)));
}

#[test]
fn a_deletion_erases_what_was_known_before_it() {
    let site = || at(11, Kind::Site { site: SiteId::parse(SITE).unwrap() });
    let facts = [cloned(10), site(), plan(12, "pro"), connected(13), at(14, Kind::Seen)];
    let deletion = [removed(20), at(20, Kind::Deleted)];
    let wanted = folded(&deletion);
    assert_eq!((wanted.status, wanted.removed_at), (Status::Removed, Some(Timestamp(20))));
    permutations(&[&facts[..], &deletion].concat(), &mut |order| {
        assert_eq!(folded(order), wanted, "{order:?}");
        assert_eq!(kept(order), deletion.clone().into_iter().rev().collect::<Vec<_>>(), "{order:?}");
    });
    assert_eq!(status(&[&deletion[..], &[at(25, Kind::Present)]].concat()), Status::Removed, "it is not contested");
    assert_eq!(status(&[&deletion[..], &[installed(30)]].concat()), Status::Installed);
}
