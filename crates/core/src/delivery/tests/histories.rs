//! Random histories: whatever happens, each accepted event is delivered, in order, under one id.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;

use futures::future::{Either, select};
use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone, Copy)]
enum Step {
    /// A new event is accepted.
    New,
    /// A copy of an earlier one comes.
    Copy(u64),
    /// So many seconds pass.
    Pass(u64),
    /// The target changes.
    Target(Mood),
    /// The object ends so many milliseconds after the next delivery has begun.
    Crash(u64),
    /// The storage fails when the next alarm fires.
    NoStorage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    Up,
    Down,
    Silent,
    /// It accepts, and its answer is lost.
    Lost,
    /// It fails now and then.
    Flaky,
}

fn step() -> impl Strategy<Value = Step> {
    let mood = prop_oneof![
        3 => Just(Mood::Up),
        2 => Just(Mood::Down),
        1 => Just(Mood::Silent),
        1 => Just(Mood::Lost),
        2 => Just(Mood::Flaky),
    ];
    prop_oneof![
        6 => Just(Step::New),
        3 => any::<u64>().prop_map(Step::Copy),
        3 => (0..20_u64).prop_map(Step::Pass),
        2 => (20..7_200_u64).prop_map(Step::Pass),
        2 => mood.prop_map(Step::Target),
        1 => (0..2_000_u64).prop_map(Step::Crash),
        1 => Just(Step::NoStorage),
    ]
}

fn play(steps: &[Step]) {
    let site = Site::new();
    let mood = Rc::new(Cell::new(Mood::Up));
    // How often the target accepted each event, and in which order it did first.
    let accepted: Rc<std::cell::RefCell<Vec<(String, u64)>>> = Rc::default();
    let (now, into, calls) = (Rc::clone(&mood), Rc::clone(&accepted), Cell::new(0_u64));
    site.object.script(move |seen| {
        calls.set(calls.get() + 1);
        let take = || into.borrow_mut().push((seen.id().to_owned(), seen.sequence()));
        match now.get() {
            Mood::Up => take(),
            Mood::Down => return (10, status(503)),
            Mood::Silent => return (HOUR, status(200)),
            Mood::Lost => {
                take();
                return (100, Answer::Unreachable);
            }
            Mood::Flaky if calls.get() % 3 == 0 => take(),
            Mood::Flaky => return (10, status(500)),
        }
        (500, status(200))
    });
    let (mut count, mut uncertain) = (0, 0_usize);
    for step in steps {
        match *step {
            Step::New => {
                count += 1;
                assert_eq!(site.accept(&event(count)), Accepted::Stored);
            }
            Step::Copy(any) if count > 0 => assert_eq!(site.accept(&event(any % count + 1)), Accepted::Known),
            Step::Copy(_) => {}
            Step::Pass(seconds) => site.pass(seconds * SECOND),
            Step::Target(next) => {
                if mood.get() == Mood::Lost {
                    uncertain += 1;
                }
                mood.set(next);
            }
            Step::Crash(after) => {
                count += 1;
                site.store(&event(count));
                let installation = site.installation();
                let (work, end) = (installation.deliver(), site.fake.sleep(Duration::from_millis(after)));
                let (work, end) = (std::pin::pin!(work), std::pin::pin!(end));
                if let Either::Right(_) = site.fake.clock().run(select(work, end)) {
                    uncertain += 1;
                }
                site.object.forget();
            }
            Step::NoStorage => {
                site.object.break_storage(true);
                if let Some(at) = site.object.take_alarm() {
                    site.set(at.max(site.now()));
                    assert!(site.fake.clock().run(site.installation().wake_up()).is_err());
                    assert!(site.object.alarm_at().is_some(), "the alarm is set again");
                }
                site.object.break_storage(false);
            }
        }
    }
    let had_lost = mood.get() == Mood::Lost || steps.iter().any(|step| matches!(step, Step::Target(Mood::Lost)));
    mood.set(Mood::Up);
    site.pass(4 * HOUR);
    let accepted = accepted.borrow();
    let mut times: BTreeMap<u64, usize> = BTreeMap::new();
    let mut ids: BTreeMap<u64, &str> = BTreeMap::new();
    let mut first = Vec::new();
    for (id, sequence) in accepted.iter() {
        *times.entry(*sequence).or_default() += 1;
        if times[sequence] == 1 {
            first.push(*sequence);
        }
        assert_eq!(*ids.entry(*sequence).or_insert(id), id, "one id for each event");
    }
    assert_eq!(times.keys().copied().collect::<Vec<_>>(), (1..=count).collect::<Vec<_>>(), "each is delivered");
    let repeated: usize = times.values().map(|times| times - 1).sum();
    assert!(had_lost || repeated <= uncertain, "{repeated} repeated deliveries, and {uncertain} lost answers");
    // Only a target that answers by turns can look like a fault of the head.
    if !steps.iter().any(|step| matches!(step, Step::Target(Mood::Flaky | Mood::Lost))) {
        assert!(first.is_sorted(), "the order changed: {first:?}");
    }
    assert_eq!(site.object.count("SELECT count(*) FROM events WHERE state <> 1 OR body IS NOT NULL"), 0);
    assert_eq!(site.object.count("SELECT max(sequence) FROM events"), count.max(1) * u64::from(count > 0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn each_accepted_event_is_delivered_in_order_under_one_id(steps in prop::collection::vec(step(), 1..60)) {
        prop_assume!(steps.iter().any(|step| matches!(step, Step::New | Step::Crash(_))));
        play(&steps);
    }
}
