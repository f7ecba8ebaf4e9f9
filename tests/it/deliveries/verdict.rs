//! What must hold at the end of a run, and what is counted.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, Instant};

use super::plan::Plan;
use super::target::{Attempt, Did};

/// After this time an event may pass one that keeps failing, in seconds of the Worker's clock.
const PASSED_AFTER: i64 = 15 * 60;
/// The longest time between the target's answer and the commit of the object that a kill may hit. The commit takes
/// milliseconds; this machine may be busy.
const COMMIT: Duration = Duration::from_secs(2);

/// The counts of a run.
#[derive(Debug, Default)]
#[expect(dead_code, reason = "they are printed")]
pub struct Verdict {
    pub attempts: usize,
    pub refused: usize,
    /// Events that the target accepted once more, because it closed the connection without an answer.
    pub after_cut: usize,
    /// … because it answered too late.
    pub after_late: usize,
    /// … because workerd was killed before the object had stored the answer.
    pub after_kill: usize,
    /// The longest time from such an answer to the kill.
    pub longest_before_kill: Duration,
    /// Events that others passed, since they had failed for fifteen minutes.
    pub passed: usize,
    /// From the first attempt to the last, on the Worker's clock.
    pub seconds: i64,
}

/// Asserts what the delivery of events guarantees. `killed` has the end of each process but the last.
pub fn judge(plan: &Plan, attempts: &[Attempt], killed: &[Instant]) -> Verdict {
    let mut verdict = Verdict { attempts: attempts.len(), ..Verdict::default() };
    let stamps = attempts.iter().map(|attempt| attempt.stamp);
    verdict.seconds = stamps.clone().max().unwrap_or(0) - stamps.min().unwrap_or(0);
    verdict.refused = attempts.iter().filter(|attempt| attempt.did == Did::Refused).count();

    each_event_is_delivered_under_one_id(plan, attempts);
    let mut of_installation: BTreeMap<usize, Vec<&Attempt>> = BTreeMap::new();
    for attempt in attempts {
        of_installation.entry(plan.events[attempt.event].installation).or_default().push(attempt);
    }
    for attempts in of_installation.values() {
        the_order_is_kept(attempts, &mut verdict);
        every_duplicate_has_a_cause(attempts, killed, &mut verdict);
    }
    verdict
}

fn each_event_is_delivered_under_one_id(plan: &Plan, attempts: &[Attempt]) {
    let mut ids: HashMap<usize, &str> = HashMap::new();
    let mut delivered = HashSet::new();
    for attempt in attempts {
        let id = *ids.entry(attempt.event).or_insert(&attempt.id);
        assert_eq!(id, attempt.id, "event {} has two ids", attempt.event);
        if let Some(own) = Plan::own_id(attempt.event) {
            assert_eq!(attempt.id, own, "event {} has an id of its own", attempt.event);
        }
        if attempt.did == Did::Accepted {
            delivered.insert(attempt.event);
        }
    }
    let lost: Vec<usize> = (0..plan.events.len()).filter(|event| !delivered.contains(event)).collect();
    assert!(lost.is_empty(), "{} events were answered 200 and not delivered, the first: {:?}", lost.len(), &lost[..1]);
    let different: HashSet<&str> = ids.values().copied().collect();
    assert_eq!(different.len(), plan.events.len(), "two events have one id");
}

/// The attempts of one installation, in the order of their arrival.
fn the_order_is_kept(attempts: &[&Attempt], verdict: &mut Verdict) {
    let mut events = HashMap::new();
    let mut first_failure: HashMap<u64, i64> = HashMap::new();
    // Each event below this number was accepted by the target, but for those in `waiting`.
    let mut next = 1;
    let mut waiting: Vec<u64> = Vec::new();
    let mut attempted = 0;
    for attempt in attempts {
        let Attempt { event, sequence, stamp, did, .. } = **attempt;
        assert_eq!(*events.entry(sequence).or_insert(event), event, "two events have the number {sequence}");
        assert!(sequence <= attempted + 1, "number {sequence} was attempted right after {attempted}");
        attempted = attempted.max(sequence);
        if did == Did::Refused {
            first_failure.entry(sequence).or_insert(stamp);
        } else if sequence >= next {
            for passed in next..sequence {
                let since = first_failure.get(&passed).map(|failed| stamp - failed);
                // `webhook-timestamp` has whole seconds.
                let may = since.is_some_and(|since| since >= PASSED_AFTER - 1);
                assert!(may, "number {sequence} was accepted before {passed}, which had failed for {since:?} s");
                waiting.push(passed);
                verdict.passed += 1;
            }
            next = sequence + 1;
        } else {
            waiting.retain(|passed| *passed != sequence);
        }
    }
    assert!(waiting.is_empty(), "{waiting:?} were passed and not delivered");
    let numbers: HashSet<usize> = events.values().copied().collect();
    assert_eq!(numbers.len(), events.len(), "an event has two numbers");
    assert_eq!(attempted, events.len() as u64, "the numbers have a gap");
}

fn every_duplicate_has_a_cause(attempts: &[&Attempt], killed: &[Instant], verdict: &mut Verdict) {
    let last: HashMap<u64, usize> =
        attempts.iter().enumerate().map(|(place, attempt)| (attempt.sequence, place)).collect();
    for (place, attempt) in attempts.iter().enumerate() {
        if attempt.did == Did::Refused || last[&attempt.sequence] == place {
            continue;
        }
        // It was accepted, and yet it was attempted again.
        match attempt.did {
            Did::AcceptedAndCut => verdict.after_cut += 1,
            Did::AcceptedTooLate => verdict.after_late += 1,
            Did::Accepted | Did::Refused => {
                // An object delivers one event at a time, so that any further attempt proves that the answer was stored.
                let next = attempts[place + 1];
                let before_kill = killed.get(attempt.process).map(|at| at.saturating_duration_since(attempt.at));
                let is_caused = next.process > attempt.process && before_kill.is_some_and(|time| time < COMMIT);
                assert!(
                    is_caused,
                    "event {} was delivered twice without a cause: {attempt:?}, killed after {before_kill:?}, then {next:?}",
                    attempt.event
                );
                verdict.after_kill += 1;
                verdict.longest_before_kill = verdict.longest_before_kill.max(before_kill.unwrap_or_default());
            }
        }
    }
}
