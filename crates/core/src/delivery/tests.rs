//! The object on a real database (`SQLite`), a clock that jumps, and a scripted target.

mod content;
mod histories;
mod order;
mod repair;

use std::time::Duration;

use futures::FutureExt as _;
use futures::future::{join, join_all};
use serde_json::{Value, json};

use super::queue::{Bounds, Queue};
use super::{Accepted, Answer, Event, Installation, Settings, TargetAddress, Types, parse_secret};
use crate::runtime::{Clock as _, Level};
use crate::testing::Fake;
use crate::testing::object::{FakeObject, Seen, status};
use crate::values::{AppId, Timestamp};
use crate::wix::event;

const SECRET: &str = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz";
const APP: &str = "11111111-2222-4333-8444-555555555555";
const INSTANCE: &str = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee";
const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// One installation.
struct Site {
    fake: Fake,
    object: FakeObject,
    settings: Settings,
    app_id: AppId,
}

impl Site {
    fn new() -> Self {
        let fake = Fake::default();
        let object = FakeObject::new(&fake);
        let settings = Settings {
            is_bound: true,
            target: Some(TargetAddress::Url("https://back-end.example/events".to_owned())),
            plugins: None,
            secrets: vec![parse_secret(SECRET).expect("a secret")],
            keep_millis: 72 * HOUR,
            retain_millis: 0,
            types: Types::default(),
            recheck_seconds: None,
        };
        Self { fake, object, settings, app_id: AppId::parse(APP).expect("an id") }
    }

    fn installation(&self) -> Installation<'_, FakeObject> {
        Installation::new(&self.object, &self.settings, &self.app_id, 0, Level::Info)
    }

    fn now(&self) -> u64 {
        self.object.now_millis()
    }

    /// Accepts an event, without delivering it.
    fn store(&self, event: &Event) -> Accepted {
        let message = event.to_message(INSTANCE).expect("a message");
        self.fake.clock().run(self.installation().accept(&message)).expect("a storage")
    }

    /// Accepts an event and delivers what is due.
    fn accept(&self, event: &Event) -> Accepted {
        let accepted = self.store(event);
        self.fake.clock().run(self.installation().deliver()).expect("a storage");
        accepted
    }

    /// Lets time pass. Alarms fire when they are due.
    fn pass(&self, millis: u64) {
        let end = self.now() + millis;
        while let Some(at) = self.object.alarm_at().filter(|at| *at <= end) {
            self.object.take_alarm();
            self.set(at.max(self.now()));
            let _ = self.fake.clock().run(self.installation().wake_up());
        }
        self.set(end.max(self.now()));
    }

    fn set(&self, millis: u64) {
        self.fake.clock().set_millis(millis);
    }

    /// The sequence numbers of the attempts, in order.
    fn attempts(&self) -> Vec<u64> {
        self.object.seen().iter().map(Seen::sequence).collect()
    }

    /// The columns of an event: state, attempts, and whether its content is there.
    fn row(&self, sequence: u64) -> (u64, u64, bool) {
        let count =
            |column: &str| self.object.count(&format!("SELECT {column} FROM events WHERE sequence = {sequence}"));
        (count("state"), count("attempts"), count("body IS NOT NULL") == 1)
    }
}

/// The envelope of an event without an id of its own.
fn envelope(number: u64) -> Value {
    json!({ "eventType": "com.wix.Changed", "instanceId": INSTANCE, "data": json!({ "number": number }).to_string() })
}

fn event_of(envelope: &Value, iat: u64) -> Event {
    let app = AppId::parse(APP).expect("an id");
    let message = event::parse(&app, &envelope.to_string()).expect("an envelope");
    let event = Event::of(&message.envelope.content(), message.instance.as_ref(), Timestamp(iat)).expect("an event");
    assert_eq!(Event::from_message(&event.to_message(INSTANCE).expect("a message")), Ok((event.clone(), INSTANCE)));
    event
}

fn event(number: u64) -> Event {
    event_of(&envelope(number), 1_767_225_600)
}

fn body(envelope: &Value) -> String {
    let body = event_of(envelope, 1_767_225_600).body(17);
    serde_json::from_str::<serde::de::IgnoredAny>(&body).unwrap_or_else(|error| panic!("{error}: {body}"));
    body
}

#[test]
fn the_content_is_erased_when_it_is_delivered_or_after_retention() {
    let mut site = Site::new();
    site.accept(&event(1));
    assert_eq!(site.row(1), (1, 1, false));
    site.settings.retain_millis = 2 * HOUR;
    site.accept(&event(2));
    assert_eq!(site.row(2), (1, 1, true));
    site.pass(2 * HOUR - SECOND);
    assert!(site.row(2).2);
    site.pass(2 * SECOND);
    assert!(!site.row(2).2);
    assert_eq!(site.object.alarm_at(), None, "nothing is left to do");
}

#[test]
fn ids_are_remembered_for_four_days_and_then_forgotten() {
    let site = Site::new();
    for number in 1..=150 {
        site.accept(&event(number));
    }
    site.pass(4 * DAY);
    assert_eq!(site.accept(&event(1)), Accepted::Known);
    assert_eq!(site.object.count("SELECT count(*) FROM events"), 150);
    site.pass(2 * DAY);
    site.accept(&event(151));
    site.pass(MINUTE);
    site.accept(&event(152));
    site.pass(MINUTE);
    assert_eq!(site.object.count("SELECT count(*) FROM events"), 2);
    assert_eq!(site.attempts(), (1..=152).collect::<Vec<_>>(), "the numbers have no gap");
}

#[test]
fn one_delivery_runs_at_a_time_and_sees_what_comes_meanwhile() {
    let site = Site::new();
    site.object.script(|_| (10 * SECOND, status(200)));
    let late = async {
        site.fake.sleep(Duration::from_secs(5)).await;
        let message = event(2).to_message(INSTANCE).expect("a message");
        site.installation().accept(&message).await.expect("a storage");
        site.installation().deliver().await.expect("a storage");
        assert_eq!(site.attempts(), [1], "the delivery that runs goes on with it");
        site.installation().wake_up().await.expect("a storage");
        assert_eq!(site.attempts(), [1]);
    };
    site.store(&event(1));
    let installation = site.installation();
    let (delivered, ()) = site.fake.clock().run(join(installation.deliver(), late));
    delivered.expect("a storage");
    assert_eq!(site.attempts(), [1, 2]);
}

#[test]
fn many_events_at_once_are_stored_once_each_and_delivered_in_order() {
    let site = Site::new();
    site.object.script(|_| (SECOND, status(200)));
    let installation = site.installation();
    let accept = |number: u64| {
        let (installation, message) = (&installation, event(number).to_message(INSTANCE).expect("a message"));
        async move {
            installation.accept(&message).await.expect("a storage");
            installation.deliver().await.expect("a storage");
        }
    };
    site.fake.clock().run(join_all((1..=100).chain(1..=100).map(accept)));
    site.pass(10 * MINUTE);
    assert_eq!(site.attempts(), (1..=100).collect::<Vec<_>>());
}

#[test]
fn an_invocation_makes_forty_attempts_and_the_alarm_goes_on_at_once() {
    let site = Site::new();
    for number in 1..=100 {
        site.store(&event(number));
    }
    for count in [40, 80, 100] {
        let alarm = site.object.take_alarm();
        assert!(count == 40 || alarm == Some(site.now()), "{alarm:?}");
        site.fake.clock().run(site.installation().wake_up()).expect("a storage");
        assert_eq!(site.attempts().len(), count);
    }
    assert_eq!(site.attempts(), (1..=100).collect::<Vec<_>>());
}

#[test]
fn a_lost_delivery_is_made_by_the_alarm() {
    let site = Site::new();
    site.store(&event(1));
    site.pass(29 * SECOND);
    assert!(site.attempts().is_empty());
    site.pass(2 * SECOND);
    assert_eq!(site.attempts(), [1]);
    // The process ends while the target has the event: it comes once more.
    let site = Site::new();
    site.object.script(|_| (10 * SECOND, status(200)));
    site.store(&event(1));
    assert!(site.installation().deliver().now_or_never().is_none());
    site.object.forget();
    site.pass(MINUTE);
    assert_eq!(site.attempts(), [1, 1]);
    assert_eq!(site.row(1), (1, 1, false));
}

/// An alarm counts as a written row, so events that come together share one.
#[test]
fn events_share_the_alarm_that_guards_them() {
    let site = Site::new();
    for number in 1..=5 {
        site.accept(&event(number));
        site.set(site.now() + SECOND);
    }
    assert_eq!(site.object.set_alarms(), 1);
    site.pass(MINUTE);
    assert_eq!((site.object.set_alarms(), site.object.alarm_at()), (1, None));
    site.accept(&event(6));
    assert_eq!(site.object.set_alarms(), 2);
}

/// A trap may keep the lease of a delivery that ended.
#[test]
fn a_lease_that_nobody_returns_ends_by_itself() {
    let site = Site::new();
    site.object.script(|_| (10 * SECOND, status(200)));
    site.store(&event(1));
    assert!(site.installation().deliver().now_or_never().is_none());
    site.pass(2 * MINUTE);
    assert_eq!(site.attempts(), [1, 1]);
}

#[test]
fn an_alarm_is_set_again_after_an_error_of_the_storage() {
    let site = Site::new();
    site.store(&event(1));
    site.object.take_alarm();
    site.object.break_storage(true);
    assert!(site.fake.clock().run(site.installation().wake_up()).is_err());
    assert!(site.object.alarm_at().is_some());
    site.object.break_storage(false);
    site.pass(2 * MINUTE);
    assert_eq!(site.attempts(), [1]);
}

#[test]
fn without_a_target_events_wait_and_are_parked_in_the_end() {
    let mut site = Site::new();
    site.store(&event(1));
    site.settings.target = None;
    site.pass(10 * HOUR);
    assert_eq!(site.row(1), (0, 0, true));
    site.settings.target = Some(TargetAddress::EVENTS);
    site.pass(HOUR + MINUTE);
    let seen = &site.object.seen()[0];
    assert_eq!((seen.url.as_str(), seen.binding), ("https://wix-edge/events", Some("EVENTS_TARGET")));
    site.store(&event(2));
    site.settings.target = None;
    site.pass(74 * HOUR);
    assert_eq!(site.row(2), (2, 0, true));
    site.pass(31 * DAY);
    assert!(!site.row(2).2, "the content of a parked event is erased");
}

#[test]
fn each_attempt_has_a_line_without_content() {
    let site = Site::new();
    site.object.script(|_| (0, Answer::Unreachable));
    site.accept(&event(1));
    let line = site.fake.last_log();
    let wanted = json!({ "level": "warn", "route": "deliver", "outcome": "failed", "duration_ms": 0,
        "instance_id": INSTANCE, "sequence": 1, "event_id": event(1).identity.webhook_id(), "type": "com.wix.Changed", "attempt": 1, "answer": "unreachable" });
    assert_eq!(line, wanted);
}

/// The bounds of the latest row find the pending events, so that a delivery reads few rows.
#[test]
fn the_bounds_hold_in_every_state() {
    let site = Site::new();
    let queue = Queue::open(&site.object).expect("a database");
    site.object.script(|seen| (0, status(if seen.sequence() % 3 == 1 { 500 } else { 200 })));
    for number in 1..=60 {
        site.accept(&event(number));
        site.pass(number % 7 * MINUTE);
        let look = queue.look(Bounds::default()).expect("a database");
        let found: Vec<u64> = look.head.into_iter().chain(look.next).map(|pending| pending.sequence).collect();
        let first = |skip: u64| {
            let select =
                "SELECT coalesce((SELECT sequence FROM events WHERE state = 0 ORDER BY sequence LIMIT 1 OFFSET";
            site.object.count(&format!("{select} {skip}), 0)"))
        };
        let wanted: Vec<u64> = [first(0), first(1)].into_iter().filter(|sequence| *sequence > 0).collect();
        assert_eq!(found, wanted, "after {number}");
    }
}
