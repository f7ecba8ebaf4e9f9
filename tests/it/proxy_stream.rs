//! Bodies through the proxy: of any size, as they come, and never held.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::harness::Worker;
use crate::proxy::Proxied;

const MEGABYTES: usize = 50;
const SIZE: usize = MEGABYTES << 20;
/// How much more memory the runtime may take while a body passes, in KiB; the body has 51 200.
const ALLOWED: u64 = 40 * 1024;

/// The most memory, in KiB, that the runtime holds while the work is done, above what it held before; nothing where the
/// machine does not tell.
fn growth(worker: &Worker, work: impl FnOnce()) -> Option<u64> {
    let before = worker.memory();
    let done = AtomicBool::new(false);
    let most = std::thread::scope(|scope| {
        let watching = scope.spawn(|| {
            let mut most = before;
            while !done.load(Ordering::Relaxed) {
                most = most.max(worker.memory());
                std::thread::sleep(Duration::from_millis(5));
            }
            most
        });
        work();
        done.store(true, Ordering::Relaxed);
        watching.join().expect("a figure")
    });
    Some(most?.saturating_sub(before?))
}

/// A stage of its own: what is measured is what one body costs.
#[test]
fn a_body_of_50_mb_passes_either_way_and_is_never_held() {
    let proxied = Proxied::start(Worker::start);
    let id = proxied.stage.wix.installed();
    let worker = &proxied.stage.worker;
    let body: Vec<u8> = (0..SIZE).map(|at| u8::try_from(at / 1000 % 251).expect("a byte")).collect();
    let calls: [(&str, &dyn Fn(usize)); 4] = [
        ("down", &|megabytes| {
            let answer = proxied.call("GET", &id, &format!("/bytes/{megabytes}")).send().expect(200);
            assert_eq!(answer.body.len(), megabytes << 20);
        }),
        ("up", &|megabytes| {
            let answer = proxied.call("PUT", &id, "/up").body(&body[..megabytes << 20]).send().expect(200);
            assert_eq!(answer.json()["length"], megabytes << 20);
            let heard = proxied.upstream.heard().pop().expect("a call");
            assert_eq!(heard.headers["content-length"], (megabytes << 20).to_string().as_str(), "{heard:?}");
        }),
        ("up in chunks", &|megabytes| {
            let answer = proxied.call("POST", &id, "/up").body(&body[..megabytes << 20]).chunked().send().expect(200);
            assert_eq!(answer.json()["length"], megabytes << 20);
        }),
        ("there and back", &|megabytes| {
            let answer = proxied.call("POST", &id, "/echo").body(&body[..megabytes << 20]).send().expect(200);
            assert!(answer.body == body[..megabytes << 20], "another body came back");
        }),
    ];
    for (name, call) in calls {
        call(4);
        let grown = growth(worker, || call(MEGABYTES));
        println!("{name}: {grown:?} KiB more");
        assert!(grown.is_none_or(|grown| grown < ALLOWED), "{name}: {grown:?} KiB more");
    }
}
