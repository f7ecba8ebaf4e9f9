//! Order, pauses, the rule of the fifteen minutes, and parking.

use super::*;

/// The seconds between the first attempt and each of the others of an event.
fn waits(site: &Site, sequence: u64) -> Vec<u64> {
    let seen = site.object.seen();
    let times: Vec<u64> = seen.iter().filter(|seen| seen.sequence() == sequence).map(|seen| seen.at).collect();
    times.windows(2).map(|pair| (pair[1] - pair[0]) / SECOND).collect()
}

fn down(site: &Site) {
    site.object.script(|_| (0, status(503)));
}

fn up(site: &Site) {
    site.object.script(|_| (0, status(200)));
}

#[test]
fn the_pauses_double_from_five_seconds_to_an_hour_with_jitter() {
    let site = Site::new();
    down(&site);
    site.accept(&event(1));
    site.pass(12 * HOUR);
    let waits = waits(&site, 1);
    // The pause that would pass the fifteenth minute ends there.
    let is_cut = |at: usize| (880..=900).contains(&waits[..=at].iter().sum::<u64>());
    for (at, pause) in [5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600, 3600].into_iter().enumerate() {
        let within = (pause * 3 / 4 - 1..=pause * 5 / 4).contains(&waits[at]);
        assert!(within || is_cut(at), "pause {at} took {} s: {waits:?}", waits[at]);
    }
    assert!(waits.iter().filter(|wait| **wait % 5 != 0).count() > 3, "no jitter: {waits:?}");
}

#[test]
fn retry_after_is_respected_up_to_an_hour() {
    for (asked, wait) in [("120", 120), ("7200", 3600), ("Thu, 01 Jan 2026 00:10:00 GMT", 600), ("soon", 5), ("0", 5)] {
        let site = Site::new();
        let asked = asked.to_owned();
        site.object.script(move |_| (0, Answer::Status { status: 429, retry_after: Some(asked.clone()) }));
        site.accept(&event(1));
        site.pass(2 * HOUR);
        let first = waits(&site, 1)[0];
        let latest = if wait == 5 { 6 } else { wait };
        assert!((wait * 3 / 4..=latest).contains(&first) && (wait == 5 || first == wait), "{wait}: {first}");
    }
}

#[test]
fn a_target_that_is_down_changes_no_order() {
    for minutes in [1, 14, 16, 60, 600, 3_000] {
        let site = Site::new();
        down(&site);
        for number in 1..=20 {
            site.accept(&event(number));
            site.pass(minutes * MINUTE / 20);
        }
        let before = site.object.seen().len();
        up(&site);
        site.pass(3 * HOUR);
        assert_eq!(site.attempts()[before..], (1..=20).collect::<Vec<_>>(), "down for {minutes} minutes");
    }
}

#[test]
fn a_target_that_is_down_is_called_less_and_less_often() {
    let site = Site::new();
    down(&site);
    for number in 1..=200 {
        site.accept(&event(number));
        site.pass(6 * MINUTE);
    }
    let after = |hours: u64| site.object.seen().iter().filter(|seen| seen.at > site.now() - hours * HOUR).count();
    assert!(after(1) <= 4, "{} calls in the last hour", after(1));
    assert!(after(10) <= 30, "{} calls in the last ten hours", after(10));
}

#[test]
fn a_head_that_keeps_failing_is_overtaken_after_fifteen_minutes() {
    let site = Site::new();
    site.object.script(|seen| (0, status(if seen.sequence() == 1 { 500 } else { 200 })));
    for number in 1..=3 {
        site.accept(&event(number));
    }
    site.pass(15 * MINUTE - SECOND);
    assert!(site.attempts().iter().all(|sequence| *sequence == 1));
    site.pass(2 * SECOND);
    assert_eq!(site.attempts().iter().filter(|sequence| **sequence > 1).collect::<Vec<_>>(), [&2, &3]);
    // The events behind it flow, and it goes on with its own pauses.
    let heads = || site.attempts().iter().filter(|sequence| **sequence == 1).count();
    let before = heads();
    for number in 4..=10 {
        site.accept(&event(number));
        assert_eq!(site.attempts().last(), Some(&number));
    }
    assert_eq!(heads(), before);
    up(&site);
    site.pass(2 * HOUR);
    assert_eq!(heads(), before + 1);
    assert_eq!(site.row(1).0, 1);
}

#[test]
fn the_next_event_is_tried_once_after_each_failure_of_the_head() {
    let site = Site::new();
    down(&site);
    for number in 1..=3 {
        site.accept(&event(number));
    }
    site.pass(20 * HOUR);
    let attempts = site.attempts();
    let of = |wanted: u64| attempts.iter().filter(|sequence| **sequence == wanted).count();
    let overtaking = attempts.iter().position(|sequence| *sequence == 2).expect("it was tried");
    assert_eq!(of(2), attempts[overtaking - 1..].iter().filter(|sequence| **sequence == 1).count());
    assert_eq!(of(3), 0);
    // Each try follows a failure of the head at once.
    let seen = site.object.seen();
    for pair in seen.windows(2).filter(|pair| pair[1].sequence() == 2) {
        assert_eq!((pair[0].sequence(), pair[0].at), (1, pair[1].at));
    }
}

/// The head failed alone. An event that comes later must not overtake it only because the target is up again.
#[test]
fn an_event_that_comes_when_the_target_is_up_again_waits_for_the_head() {
    let site = Site::new();
    down(&site);
    site.accept(&event(1));
    site.pass(3 * HOUR);
    let before = site.attempts().len();
    up(&site);
    site.accept(&event(2));
    site.pass(2 * HOUR);
    assert_eq!(site.attempts()[before..], [1, 2]);
}

#[test]
fn an_event_is_parked_after_its_hours_and_the_others_go_on() {
    let mut site = Site::new();
    site.settings.keep_millis = 2 * HOUR;
    site.object.script(|seen| (0, status(if seen.sequence() == 1 { 500 } else { 200 })));
    site.accept(&event(1));
    site.pass(HOUR);
    site.accept(&event(2));
    site.pass(3 * HOUR);
    assert_eq!(site.row(1).0, 2);
    assert!(site.row(1).2, "its content is kept for redelivery");
    assert_eq!(site.row(2), (1, 1, false));
    let count = site.attempts().len();
    site.pass(29 * DAY);
    assert!(site.row(1).2);
    site.pass(2 * DAY);
    assert_eq!(site.object.count("SELECT count(*) FROM events WHERE body IS NOT NULL"), 0);
    assert_eq!(site.attempts().len(), count, "a parked event is not attempted");
    assert!(site.fake.log_lines().iter().any(|(_, line)| line.contains(r#""outcome":"parked""#)));
}

/// It is parked when its time is over, and not an attempt later.
#[test]
fn an_event_is_parked_to_the_minute_and_is_not_attempted_after_its_hours() {
    for (hours, asked) in [(1, None), (2, None), (5, Some("3600")), (72, None)] {
        let mut site = Site::new();
        site.settings.keep_millis = hours * HOUR;
        let retry_after = asked.map(str::to_owned);
        site.object.script(move |_| (0, Answer::Status { status: 503, retry_after: retry_after.clone() }));
        site.accept(&event(1));
        let limit = site.now() + hours * HOUR;
        site.pass(30 * MINUTE);
        site.accept(&event(2));
        site.pass(limit - SECOND - site.now());
        assert_eq!((site.row(1).0, site.row(2).0), (0, 0), "{hours} hours are not over");
        site.pass(2 * SECOND);
        assert_eq!((site.row(1).0, site.row(2).0), (2, 0), "{hours} hours are over");
        site.pass(30 * MINUTE);
        assert_eq!(site.row(2).0, 2, "each has its own {hours} hours");
        site.pass(3 * HOUR);
        let late = |sequence: u64, limit: u64| {
            site.object.seen().iter().any(|seen| seen.sequence() == sequence && seen.at >= limit)
        };
        assert!(!late(1, limit) && !late(2, limit + 30 * MINUTE), "{hours}: attempted after its hours");
    }
}

#[test]
fn without_a_target_an_event_is_parked_after_its_hours_too() {
    let mut site = Site::new();
    site.settings.keep_millis = 90 * MINUTE;
    down(&site);
    site.accept(&event(1));
    site.settings.target = None;
    site.pass(90 * MINUTE - SECOND);
    assert_eq!(site.row(1).0, 0);
    site.pass(2 * SECOND);
    assert_eq!(site.row(1).0, 2);
    site.pass(31 * DAY);
    assert!(!site.row(1).2, "its content is erased in time");
}

#[test]
fn a_long_outage_parks_each_event_after_its_own_hours_and_calls_seldom() {
    let mut site = Site::new();
    site.settings.keep_millis = 10 * HOUR;
    down(&site);
    for number in 1..=60 {
        site.accept(&event(number));
        site.pass(HOUR);
    }
    let parked = site.object.count("SELECT count(*) FROM events WHERE state = 2");
    assert!((47..=51).contains(&parked), "{parked} of 60 are parked");
    let recent = site.object.seen().iter().filter(|seen| seen.at > site.now() - 10 * HOUR).count();
    assert!(recent <= 40, "{recent} calls in ten hours");
    let before = site.attempts().len();
    up(&site);
    site.pass(3 * HOUR);
    let rest: Vec<u64> = site.attempts()[before..].to_vec();
    assert_eq!(rest, (parked + 1..=60).collect::<Vec<_>>());
}

#[test]
fn a_timeout_is_a_failed_attempt_of_fifteen_seconds() {
    let site = Site::new();
    site.object.script(|_| (HOUR, status(200)));
    let started = site.now();
    site.accept(&event(1));
    assert_eq!(site.now() - started, 15 * SECOND);
    assert_eq!(site.fake.last_log()["answer"], "timeout");
    up(&site);
    site.pass(10 * SECOND);
    assert_eq!(site.row(1), (1, 2, false));
}
