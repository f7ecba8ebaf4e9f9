//! Overload: webhook bodies that exceed an isolate's limit together, and too many flows from one address.

use std::io::Write as _;
use std::net::TcpStream;

use url::Url;

use crate::harness::{Key, Message, NOW, Testbed, Wix, Worker, guid, values_for};

const MIB: usize = 1024 * 1024;

/// A connection on which a body of 1 MiB has begun and does not end.
fn begin_body(bed: &Testbed) -> TcpStream {
    let url = Url::parse(bed.url()).expect("a URL");
    let host = format!("{}:{}", url.host_str().expect("a host"), url.port().expect("a port"));
    let mut stream = TcpStream::connect(&host).expect("a connection");
    let head = format!("POST /webhook HTTP/1.1\r\nhost: {host}\r\ncontent-length: {MIB}\r\n\r\n");
    stream.write_all(head.as_bytes()).expect("an open connection");
    stream.write_all(&[b'x'; 1024]).expect("an open connection");
    stream
}

#[test]
fn over_16_mib_of_webhook_bodies_at_a_time_the_next_one_is_503() {
    let bed = Testbed::start(|values| values);
    let event = |length: usize| {
        let mut body = Message::new("product_created", &guid(), &serde_json::json!({})).sign().into_bytes();
        body.resize(length, b' ');
        bed.request(NOW, "POST", "/webhook").body(body)
    };
    event(2_000).send().expect(200);
    let mut open: Vec<TcpStream> = (0..16).map(|_| begin_body(&bed)).collect();
    // Polls until the Worker has received all of them. Then it rejects a short body too.
    let refused = |length: usize| {
        (0..200).map(|_| event(length).send()).find(|response| {
            std::thread::sleep(std::time::Duration::from_millis(50));
            response.status != 200
        })
    };
    for length in [2_000, 100_000, MIB] {
        let response = refused(length).expect("a refused webhook").expect(503);
        assert_eq!((response.code(), response.header("retry-after")), ("busy".to_owned(), Some("2")), "{response:?}");
    }
    // Other routes still answer.
    bed.request(NOW, "GET", "/healthz").send().expect(200);
    bed.request(NOW, "GET", "/install").send().expect(302);
    // A closed connection frees its share.
    drop(open.pop());
    let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while event(MIB).send().status != 200 {
        assert!(std::time::Instant::now() < until, "the share of a closed connection was not freed");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    drop(open);
    // Forged messages free their share too.
    let forged = Message::new("product_created", &guid(), &serde_json::json!({})).sign_with(&Key::generate());
    for _ in 0..40 {
        let mut body = forged.clone().into_bytes();
        body.resize(MIB, b' ');
        bed.request(NOW, "POST", "/webhook").body(body).send().expect(401);
    }
    event(MIB).send().expect(200);
}

#[test]
fn the_rate_limiter_limits_the_flows_of_an_address() {
    let wix = Wix::start();
    let worker = Worker::under_wrangler(&values_for(&wix).rate_limited());
    let install = || worker.request("GET", "/install").send();
    let responses: Vec<_> = (0..70).map(|_| install()).collect();
    let begun = responses.iter().filter(|response| response.status == 302).count();
    // The limit is 30 a minute, and the requests can span two minutes.
    assert!((30..=60).contains(&begun), "{begun} of 70");
    let refused = responses.iter().find(|response| response.status != 302).expect("a refused request");
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("60")), "{refused:?}");
    assert!(refused.text().contains("Please wait a moment"), "{refused:?}");
    worker.request("GET", "/connect").send().expect(429);
}
