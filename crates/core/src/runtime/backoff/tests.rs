use std::cell::Cell;

use super::*;
use crate::testing::Fake;

#[test]
fn the_pause_doubles_up_to_its_limit() {
    let backoff = Backoff { first: 60, longest: 21_600 };
    let pauses: Vec<u64> = [1, 2, 3, 9, 10, 1_000].into_iter().map(|failed| backoff.after(failed)).collect();
    assert_eq!(pauses, [60, 120, 240, 15_360, 21_600, 21_600]);
}

#[test]
fn retry_attempts_once_more_than_it_pauses_and_returns_the_last_error() {
    let fake = Fake::default();
    let attempts = Cell::new(0);
    let pauses = [Duration::from_millis(300), Duration::from_millis(1_100)];
    let started = fake.now_millis();
    let result: Result<(), u32> = fake.clock().run(retry(&fake, &pauses, async || {
        attempts.set(attempts.get() + 1);
        Err(attempts.get())
    }));
    assert_eq!(result, Err(3));
    assert_eq!(fake.now_millis() - started, 1_400);

    let result: Result<u32, ()> = fake.clock().run(retry(&fake, &pauses, async || Ok(7)));
    assert_eq!(result, Ok(7));
}
