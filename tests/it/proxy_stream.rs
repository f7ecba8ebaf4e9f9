//! The proxy streams bodies of any size without buffering them.

use crate::harness::{Worker, highest};
use crate::proxy::Proxied;

const MEGABYTES: usize = 50;
const SIZE: usize = MEGABYTES << 20;
/// The limit for the growth of workerd's memory while a body of 51,200 KiB is forwarded, in KiB.
const MAX_GROWTH: u64 = 40 * 1024;

/// The growth of workerd's memory during the work, in KiB; `None` on a system without `/proc`.
fn growth(worker: &Worker, work: impl FnOnce()) -> Option<u64> {
    let before = worker.memory();
    let most = highest(|| worker.memory().unwrap_or(0), work);
    before.map(|before| most.saturating_sub(before))
}

/// Uses its own stage, since other requests would change the memory.
#[test]
fn a_body_of_50_mb_is_streamed_in_both_directions() {
    let proxied = Proxied::start(Worker::start);
    let id = proxied.stage.wix.new_instance();
    let worker = &proxied.stage.worker;
    let body: Vec<u8> = (0..SIZE).map(|at| u8::try_from(at / 1000 % 251).expect("a byte")).collect();
    let calls: [(&str, &dyn Fn(usize)); 4] = [
        ("down", &|megabytes| {
            let response = proxied.call("GET", &id, &format!("/bytes/{megabytes}")).send().expect(200);
            assert_eq!(response.body.len(), megabytes << 20);
        }),
        ("up", &|megabytes| {
            let response = proxied.call("PUT", &id, "/up").body(&body[..megabytes << 20]).send().expect(200);
            assert_eq!(response.json()["length"], megabytes << 20);
            let received = proxied.upstream.received().pop().expect("a call");
            assert_eq!(received.headers["content-length"], (megabytes << 20).to_string().as_str(), "{received:?}");
        }),
        ("up in chunks", &|megabytes| {
            let response = proxied.call("POST", &id, "/up").body(&body[..megabytes << 20]).chunked().send().expect(200);
            assert_eq!(response.json()["length"], megabytes << 20);
        }),
        ("there and back", &|megabytes| {
            let request = proxied.call("POST", &id, "/echo").body(&body[..megabytes << 20]);
            let response = request.send_and_read().expect(200);
            assert!(response.body == body[..megabytes << 20], "the echoed body differs");
        }),
    ];
    for (name, call) in calls {
        call(4);
        let grown = growth(worker, || call(MEGABYTES));
        println!("{name}: {grown:?} KiB more");
        assert!(grown.is_none_or(|grown| grown < MAX_GROWTH), "{name}: {grown:?} KiB more");
    }
}
