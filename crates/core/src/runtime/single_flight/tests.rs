use futures::future::join;

use super::*;
use crate::testing::Fake;

#[derive(Debug, Clone, PartialEq, Eq)]
struct Late;

impl From<TimedOut> for Late {
    fn from(_: TimedOut) -> Self {
        Self
    }
}

#[test]
fn a_follower_polls_rarely_in_a_long_wait_and_promptly_in_a_short_one() {
    for (work, latest) in [(5_000, 5_400), (200, 300), (30, 45)] {
        let (fake, flights) = (Fake::default(), SingleFlight::<u32, u32, Late>::default());
        let began = fake.now_millis();
        let turn = Turn { force: false, lead_millis: 20_000, wait_until_millis: began + 15_000 };
        let leader = flights.share(&fake, &1, turn, async {
            fake.sleep(Duration::from_millis(work)).await;
            Ok(7)
        });
        let follower = async {
            let value = flights.share(&fake, &1, turn, async { unreachable!("only the leader makes the call") }).await;
            (value, fake.now_millis() - began)
        };
        let before = fake.clock().sleeps();
        let (first, (second, took)) = fake.clock().run(join(leader, follower));
        assert_eq!((first, second), (Ok(7), Ok(7)));
        assert!((work..=latest).contains(&took), "the result of {work} ms of work came after {took} ms");
        assert!(fake.clock().sleeps() - before <= 26, "a follower must poll rarely, since each poll costs CPU");
    }
}

#[test]
fn a_follower_that_waited_long_enough_times_out() {
    let (fake, flights) = (Fake::default(), SingleFlight::<u32, u32, Late>::default());
    let turn = Turn { force: false, lead_millis: 60_000, wait_until_millis: fake.now_millis() + 1_000 };
    let leader = flights.share(&fake, &1, turn, async {
        fake.sleep(Duration::from_secs(30)).await;
        Ok(7)
    });
    let follower = flights.share(&fake, &1, turn, async { unreachable!("only the leader makes the call") });
    assert_eq!(fake.clock().run(join(leader, follower)), (Ok(7), Err(Late)));
}

#[test]
fn the_result_of_a_forgotten_call_is_not_cached() {
    let (fake, flights) = (Fake::default(), SingleFlight::<u32, u32, Late>::default());
    let turn = Turn { force: false, lead_millis: 60_000, wait_until_millis: fake.now_millis() + 1_000 };
    let led = fake.clock().run(flights.share(&fake, &1, turn, async {
        flights.forget(&1);
        Ok(7)
    }));
    assert_eq!(led, Ok(7), "the caller of the forgotten call gets its result");
    assert_eq!(flights.value(&1), None);
    flights.keep(&1, 8);
    assert_eq!(flights.value(&1), Some(8));
    flights.forget(&1);
    assert_eq!(flights.value(&1), None);
}
