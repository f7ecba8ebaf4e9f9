//! More bytes of webhooks at once than an isolate has room for, and more flows than one address may begin.

use std::io::Write as _;
use std::net::TcpStream;

use url::Url;

use crate::harness::{Direct, Key, Message, NOW, Wix, Worker, guid, values_for};

const MIB: usize = 1024 * 1024;

/// A connection on which a body of 1 MiB has begun and does not end.
fn begun(stand: &Direct) -> TcpStream {
    let url = Url::parse(stand.url()).expect("a URL");
    let host = format!("{}:{}", url.host_str().expect("a host"), url.port().expect("a port"));
    let mut stream = TcpStream::connect(&host).expect("a connection");
    let head = format!("POST /webhook HTTP/1.1\r\nhost: {host}\r\ncontent-length: {MIB}\r\n\r\n");
    stream.write_all(head.as_bytes()).expect("an open connection");
    stream.write_all(&[b'x'; 1024]).expect("an open connection");
    stream
}

#[test]
fn of_webhook_bodies_16_mib_are_held_at_once_and_the_next_one_is_asked_to_come_again() {
    let stand = Direct::start(|values| values);
    let event = |length: usize| {
        let mut body = Message::new("product_created", &guid(), &serde_json::json!({})).sign().into_bytes();
        body.resize(length, b' ');
        stand.ask(NOW, "POST", "/webhook").body(body)
    };
    event(2_000).send().expect(200);
    let mut open: Vec<TcpStream> = (0..16).map(|_| begun(&stand)).collect();
    // They are there once there is no more room, also for one that is short.
    let refused = |length: usize| {
        (0..200).map(|_| event(length).send()).find(|answer| {
            std::thread::sleep(std::time::Duration::from_millis(50));
            answer.status != 200
        })
    };
    for length in [2_000, 100_000, MIB] {
        let answer = refused(length).expect("no room is left").expect(503);
        assert_eq!((answer.code(), answer.header("retry-after")), ("busy".to_owned(), Some("2")), "{answer:?}");
    }
    // Nothing else suffers.
    stand.ask(NOW, "GET", "/healthz").send().expect(200);
    stand.ask(NOW, "GET", "/install").send().expect(302);
    // One that goes away makes room for one.
    drop(open.pop());
    let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while event(MIB).send().status != 200 {
        assert!(std::time::Instant::now() < until, "the room is not given back");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    drop(open);
    // And forged ones leave nothing behind.
    let forged = Message::new("product_created", &guid(), &serde_json::json!({})).sign_with(&Key::generate());
    for _ in 0..40 {
        let mut body = forged.clone().into_bytes();
        body.resize(MIB, b' ');
        stand.ask(NOW, "POST", "/webhook").body(body).send().expect(401);
    }
    event(MIB).send().expect(200);
}

#[test]
fn one_address_may_begin_so_many_flows_a_minute() {
    let wix = Wix::start();
    let worker = Worker::start(&values_for(&wix).rate_limited());
    let install = || worker.ask("GET", "/install").send();
    let answers: Vec<_> = (0..70).map(|_| install()).collect();
    let begun = answers.iter().filter(|answer| answer.status == 302).count();
    // The minute may have ended in between.
    assert!((30..=60).contains(&begun), "{begun} of 70");
    let refused = answers.iter().find(|answer| answer.status != 302).expect("one is refused");
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("60")), "{refused:?}");
    assert!(refused.text().contains("start the installation again"), "{refused:?}");
    worker.ask("GET", "/connect").send().expect(429);
}
