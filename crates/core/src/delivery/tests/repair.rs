//! Reports of facts, redelivery, and erasure, at the object itself.

use super::*;
use crate::delivery::report::to_message;
use crate::delivery::requests::{ERASE, REDELIVER_PARKED, REPORT};
use crate::facts::{Fact, Kind};
use crate::values::InstanceId;

/// An hour before the tests begin.
const PAST: u64 = 1_767_222_000;

impl Site {
    fn ask(&self, path: &str, body: &str) -> u16 {
        self.fake.clock().run(self.installation().answer(path, body)).expect("a storage").status
    }

    fn report(&self, facts: &[Fact]) -> Vec<String> {
        let id = InstanceId::parse(INSTANCE).expect("an id");
        assert_eq!(self.ask(REPORT, &to_message(&id, facts).expect("a message")), 200);
        self.object.texts("SELECT type FROM events ORDER BY sequence")
    }
}

fn fact(seconds: u64, kind: Kind) -> Fact {
    Fact::new(Timestamp(PAST + seconds), kind)
}

#[test]
fn a_contested_removal_is_not_told_before_wix_has_answered() {
    let installed = || fact(0, Kind::Installed { origin: None });
    let contested = [installed(), fact(100, Kind::Removed), fact(300, Kind::Seen)];
    for (answer, wanted) in [(Kind::Refused, &["installation.removed"][..]), (Kind::Present, &[])] {
        let site = Site::new();
        assert_eq!(site.report(&[installed()]), [""; 0], "the baseline is silent");
        assert_eq!(site.report(&contested), [""; 0]);
        assert_eq!(site.report(&[fact(400, answer)]), wanted);
        // Older facts come again, late.
        assert_eq!(site.report(&contested), wanted);
        assert_eq!(site.report(&[installed()]), wanted);
    }
}

#[test]
fn a_report_that_changes_nothing_writes_nothing() {
    let site = Site::new();
    site.report(&[fact(0, Kind::Installed { origin: None }), fact(1, Kind::Removed)]);
    let writes = || site.object.count("SELECT total_changes()");
    let (before, alarms) = (writes(), site.object.set_alarms());
    site.report(&[fact(0, Kind::Installed { origin: None })]);
    assert_eq!((writes(), site.object.set_alarms()), (before, alarms));
}

/// Whichever statement fails, the change is told once when the report comes again.
#[test]
fn a_report_takes_effect_whole_or_not_at_all() {
    let id = InstanceId::parse(INSTANCE).expect("an id");
    let before = Some(crate::facts::Before { recorded_ms: 1, state: crate::facts::State::default() });
    let facts = [fact(0, Kind::Installed { origin: None }).with_before(before)];
    let message = to_message(&id, &facts).expect("a message");
    let mut failures = 0;
    for statements in 0.. {
        let site = Site::new();
        site.object.break_after(Some(statements));
        let result = site.fake.clock().run(site.installation().answer(REPORT, &message));
        site.object.break_after(None);
        assert_eq!(site.report(&facts), ["installation.installed"], "after {statements} statements");
        if result.is_ok() {
            break;
        }
        failures += 1;
    }
    assert!(failures > 8, "{failures}");
}

#[test]
fn a_report_that_is_none_is_refused() {
    let site = Site::new();
    for message in ["", "{}", "[]", r#"{"instance_id":"x","facts":[]}"#, r#"{"facts":[]}"#] {
        assert!(site.fake.clock().run(site.installation().answer(REPORT, message)).is_err(), "{message}");
    }
    assert_eq!(site.report(&[]), [""; 0]);
}

/// The free plan allows 50 subrequests in an invocation.
#[test]
fn an_invocation_redelivers_forty_events_and_the_next_one_follows_at_once() {
    let site = Site::new();
    site.object.script(|_| (0, status(500)));
    for number in 1..=45 {
        site.store(&event(number));
    }
    site.pass(4 * DAY);
    assert_eq!(site.object.count("SELECT count(*) FROM events WHERE state = 2"), 45);
    site.object.script(|_| (0, status(200)));
    let before = site.attempts().len();
    assert_eq!(site.ask(REDELIVER_PARKED, ""), 200);
    site.fake.clock().run(site.installation().deliver()).expect("a storage");
    assert_eq!(site.attempts().len() - before, 40);
    assert!(site.object.alarm_at().is_some_and(|at| at <= site.now()));
    site.pass(SECOND);
    assert_eq!(site.attempts()[before..], (1..=45).collect::<Vec<_>>());
}

#[test]
fn a_redelivery_that_is_lost_is_made_by_the_alarm() {
    let site = Site::new();
    site.object.script(|_| (0, status(500)));
    site.store(&event(1));
    site.pass(4 * DAY);
    site.object.script(|_| (0, status(200)));
    site.ask(REDELIVER_PARKED, "");
    let before = site.attempts().len();
    site.pass(MINUTE);
    assert_eq!(site.attempts().len() - before, 1);
}

#[test]
fn redelivery_comes_before_a_target_that_is_waited_for_and_changes_no_pause() {
    let site = Site::new();
    site.object.script(|_| (0, status(500)));
    site.accept(&event(1));
    site.pass(4 * DAY);
    site.accept(&event(2));
    let next_at = || site.object.count("SELECT next_at FROM events WHERE sequence = 2");
    let before = next_at();
    site.ask(REDELIVER_PARKED, "");
    site.fake.clock().run(site.installation().deliver()).expect("a storage");
    assert_eq!(*site.attempts().last().expect("an attempt"), 1);
    assert_eq!(next_at(), before);
    assert_eq!(site.object.count("SELECT state FROM events WHERE sequence = 1"), 2);
}

/// A delivery that waits for the target must not note its result in a storage that has begun anew.
#[test]
fn an_erased_object_begins_anew_even_while_it_delivers() {
    let site = Site::new();
    site.object.script(|_| (5 * SECOND, status(200)));
    site.store(&event(1));
    let (first, second) = (site.installation(), site.installation());
    let message = event(2).to_message(INSTANCE).expect("a message");
    let erase = async {
        site.object.sleep(Duration::from_secs(1)).await;
        second.answer(ERASE, "").await.expect("a storage");
        assert_eq!(site.object.count("SELECT count(*) FROM sqlite_master"), 0, "nothing is left");
        second.accept(&message).await.expect("a storage");
    };
    let (delivered, ()) = site.fake.clock().run(join(first.deliver(), erase));
    delivered.expect("no error");
    assert_eq!(site.row(1), (0, 0, true), "the new event is pending");
    site.pass(MINUTE);
    assert_eq!(site.attempts(), [1, 1]);
    assert_eq!(site.row(1).0, 1);
}

/// Each creation is a statement of its own. An error may undo the transaction in which the tables were created.
#[test]
fn the_tables_are_created_once_until_the_storage_fails_or_is_erased() {
    let site = Site::new();
    let creates =
        || site.object.take_statements().iter().filter(|statement| statement.contains("CREATE TABLE")).count();
    site.accept(&event(1));
    assert_eq!(creates(), 1);
    site.accept(&event(2));
    site.pass(MINUTE);
    assert_eq!(creates(), 0);
    site.object.forget();
    site.accept(&event(3));
    assert_eq!(creates(), 1, "an object that comes into memory may be of an older version");
    site.object.break_storage(true);
    let message = event(4).to_message(INSTANCE).expect("a message");
    assert!(site.fake.clock().run(site.installation().accept(&message)).is_err());
    site.object.break_storage(false);
    site.accept(&event(4));
    assert_eq!(creates(), 1);
    assert_eq!(site.ask(ERASE, ""), 200);
    site.accept(&event(5));
    assert_eq!(creates(), 1);
    assert_eq!(site.attempts(), [1, 2, 3, 4, 1]);
}
