use std::cell::Cell;
use std::future::pending;
use std::pin::pin;

use futures::future::{Either, join, join3, select};

use super::*;
use crate::testing::Fake;

#[derive(Debug, Clone, PartialEq, Eq)]
struct Late;

impl From<TimedOut> for Late {
    fn from(_: TimedOut) -> Self {
        Self
    }
}

/// A flight whose leader works for so many milliseconds. Returns the time that the follower waited, and its timers.
fn follow(fake: &Fake, work: u64) -> (u64, u64) {
    let flights = SingleFlight::<u32, u32, Late>::default();
    let began = fake.clock().now();
    let turn = Turn { force: false, lead_millis: 20_000, wait_until_millis: began + 15_000 };
    let leader = flights.share(fake, &1, turn, async {
        fake.clock().sleep(work).await;
        Ok(7)
    });
    let follower = async {
        let value = flights.share(fake, &1, turn, async { unreachable!("only the leader makes the call") }).await;
        (value, fake.clock().now() - began)
    };
    let before = fake.clock().sleeps();
    let (first, (second, took)) = fake.clock().run(join(leader, follower));
    assert_eq!((first, second), (Ok(7), Ok(7)));
    (took, fake.clock().sleeps() - before - 1)
}

#[test]
fn a_follower_is_answered_at_once_and_seldom_looks_before() {
    for (work, timers) in [(30, 1), (200, 1), (1_999, 1), (5_000, 3), (14_999, 8)] {
        assert_eq!(follow(&Fake::default(), work), (work, timers));
    }
}

#[test]
fn a_lost_wake_up_costs_a_follower_two_seconds_at_most() {
    for (work, took) in [(30, 2_000), (5_000, 6_000), (14_500, 15_000)] {
        let fake = Fake::default();
        fake.clock().lose_wake_ups();
        assert_eq!(follow(&fake, work).0, took);
    }
}

#[test]
fn when_the_leader_is_cancelled_one_follower_takes_over_at_once() {
    let (fake, flights) = (Fake::default(), SingleFlight::<u32, u32, Late>::default());
    let began = fake.clock().now();
    let turn = Turn { force: false, lead_millis: 20_000, wait_until_millis: began + 15_000 };
    let cancelled = async {
        let leader = pin!(flights.share(&fake, &1, turn, pending()));
        assert!(matches!(select(leader, pin!(fake.clock().sleep(700))).await, Either::Right(_)));
    };
    let calls = Cell::new(0);
    let follower = || async {
        let value = flights.share(&fake, &1, turn, async {
            calls.set(calls.get() + 1);
            fake.clock().sleep(50).await;
            Ok(8)
        });
        (value.await, fake.clock().now() - began)
    };
    let ((), second, third) = fake.clock().run(join3(cancelled, follower(), follower()));
    assert_eq!((second, third, calls.get()), ((Ok(8), 750), (Ok(8), 750), 1));
}

#[test]
fn when_the_claim_expires_one_follower_takes_over_at_once() {
    let (fake, flights) = (Fake::default(), SingleFlight::<u32, u32, Late>::default());
    let began = fake.clock().now();
    let turn = Turn { force: false, lead_millis: 2_500, wait_until_millis: began + 15_000 };
    let follower = async { (flights.share(&fake, &1, turn, async { Ok(8) }).await, fake.clock().now() - began) };
    let leader = pin!(flights.share(&fake, &1, turn, pending()));
    let Either::Right((answer, _)) = fake.clock().run(select(leader, pin!(follower))) else {
        panic!("the leader hangs")
    };
    assert_eq!(answer, (Ok(8), 2_500));
}

#[test]
fn when_the_call_is_forgotten_the_followers_make_another() {
    let (fake, flights) = (Fake::default(), SingleFlight::<u32, u32, Late>::default());
    let began = fake.clock().now();
    let turn = Turn { force: false, lead_millis: 20_000, wait_until_millis: began + 15_000 };
    let leader = flights.share(&fake, &1, turn, async {
        fake.clock().sleep(1_000).await;
        Ok(7)
    });
    let follower = async { (flights.share(&fake, &1, turn, async { Ok(8) }).await, fake.clock().now() - began) };
    let forgotten = async {
        fake.clock().sleep(300).await;
        flights.forget(&fake, &1);
    };
    assert_eq!(fake.clock().run(join3(leader, follower, forgotten)), (Ok(7), (Ok(8), 300), ()));
    assert_eq!(flights.value(&1), Some(8));
}

#[test]
fn with_force_a_follower_waits_for_a_flight_without_it_and_then_leads_at_once() {
    let (fake, flights) = (Fake::default(), SingleFlight::<u32, u32, Late>::default());
    let began = fake.clock().now();
    let turn = |force| Turn { force, lead_millis: 20_000, wait_until_millis: began + 15_000 };
    let leader = flights.share(&fake, &1, turn(false), async {
        fake.clock().sleep(700).await;
        Ok(7)
    });
    let forced = async { (flights.share(&fake, &1, turn(true), async { Ok(8) }).await, fake.clock().now() - began) };
    assert_eq!(fake.clock().run(join(leader, forced)), (Ok(7), (Ok(8), 700)));
}

#[test]
fn the_end_of_a_flight_wakes_no_follower_of_another_map() {
    let fake = Fake::default();
    let (short, long) = (SingleFlight::<u32, u32, Late>::default(), SingleFlight::<u32, u32, Late>::default());
    let turn = Turn { force: false, lead_millis: 20_000, wait_until_millis: fake.clock().now() + 15_000 };
    let clock = fake.clock();
    let work = |millis| async move {
        clock.sleep(millis).await;
        Ok(7)
    };
    let before = fake.clock().sleeps();
    let (short, long) = (
        short.share(&fake, &1, turn, work(100)),
        join(long.share(&fake, &1, turn, work(1_000)), long.share(&fake, &1, turn, pending())),
    );
    let _ = fake.clock().run(join(short, long));
    assert_eq!(fake.clock().sleeps() - before, 3, "two calls and one follower");
}

#[test]
fn a_follower_that_waited_long_enough_times_out() {
    let (fake, flights) = (Fake::default(), SingleFlight::<u32, u32, Late>::default());
    let began = fake.clock().now();
    let turn = Turn { force: false, lead_millis: 60_000, wait_until_millis: began + 1_000 };
    let leader = flights.share(&fake, &1, turn, async {
        fake.clock().sleep(30_000).await;
        Ok(7)
    });
    let follower = flights.share(&fake, &1, turn, async { unreachable!("only the leader makes the call") });
    let follower = async { (follower.await, fake.clock().now() - began) };
    assert_eq!(fake.clock().run(join(leader, follower)), (Ok(7), (Err(Late), 1_000)));
}

#[test]
fn the_result_of_a_forgotten_call_is_not_cached() {
    let (fake, flights) = (Fake::default(), SingleFlight::<u32, u32, Late>::default());
    let turn = Turn { force: false, lead_millis: 60_000, wait_until_millis: fake.clock().now() + 1_000 };
    let led = fake.clock().run(flights.share(&fake, &1, turn, async {
        flights.forget(&fake, &1);
        Ok(7)
    }));
    assert_eq!(led, Ok(7), "the caller of the forgotten call gets its result");
    assert_eq!(flights.value(&1), None);
    flights.keep(&1, 8);
    assert_eq!(flights.value(&1), Some(8));
    flights.forget(&fake, &1);
    assert_eq!(flights.value(&1), None);
}
