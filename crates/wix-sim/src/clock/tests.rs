use std::sync::Arc;

use super::*;

#[tokio::test]
async fn advancing_the_clock_wakes_sleeping_tasks() {
    let clock = Arc::new(Clock::new());
    let at = clock.now_ms() + 3_600_000;
    let waiter = tokio::spawn({
        let clock = Arc::clone(&clock);
        async move { clock.sleep_until(at).await }
    });
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(!waiter.is_finished());
    clock.advance(3_601);
    tokio::time::timeout(Duration::from_secs(2), waiter).await.unwrap().unwrap();
}

#[test]
fn the_clock_agrees_with_the_wall_clock_until_it_is_advanced() {
    let clock = Clock::new();
    assert!((clock.now_ms() - Clock::wall_ms()).abs() < 1_000);
    clock.advance(60);
    assert_eq!(clock.offset_ms(), 60_000);
    clock.reset();
    assert_eq!(clock.offset_ms(), 0);
}
