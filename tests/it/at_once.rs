//! Single flight: a hundred concurrent token requests cause one call to Wix, for both kinds of token, and for refusals and
//! failures too. These tests use plain workerd, since the proxy of `wrangler dev` is too slow for a hundred requests.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::json;

use url::Url;

use crate::harness::{API_KEY, IN_1_MINUTE, IN_10_MINUTES, Isolate, NOW, Response, Testbed};

const CALLERS: usize = 100;
/// How long Wix takes for a token, in milliseconds. A follower looks by itself after two and four seconds.
const WORK: u64 = 2_750;
/// How much longer than the leader a follower may take, in milliseconds.
const LATENCY: u64 = 300;

static BED: LazyLock<Testbed> = LazyLock::new(|| Testbed::start(|values| values));

/// Runs the tests one after the other.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn all_at_once(request: impl Fn() -> Response + Sync) -> Vec<Response> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..CALLERS).map(|_| scope.spawn(&request)).collect();
        threads.into_iter().map(|thread| thread.join().expect("a response")).collect()
    })
}

/// Asserts that all callers get the same token. A delay makes all of them arrive before the call to Wix ends.
fn assert_one_token(id: &str, endpoint: &str, request: impl Fn() -> Response + Sync) {
    BED.wix.add_fault(id, endpoint, 1, &json!({ "kind": "delay", "delay_ms": 2000 }));
    let responses = all_at_once(request);
    let first = responses[0].clone().expect(200).json();
    for response in responses {
        assert_eq!(response.expect(200).json(), first);
    }
}

#[test]
fn a_hundred_requests_share_one_client_credentials_call() {
    let _turn = turn();
    let id = BED.wix.new_instance();
    assert_one_token(&id, "oauth2_token", || BED.token(NOW, &id));
    assert_eq!(BED.wix.called_endpoints(&id), ["oauth2_token client_credentials"]);
}

/// Ten minutes later, when the token of the installation has expired.
#[test]
fn a_hundred_requests_share_one_refresh() {
    let _turn = turn();
    let (mut jar, callback, id) = BED.prepare_callback();
    jar.get(&callback).expect(302);
    let before = BED.wix.calls(&id).len();
    assert_one_token(&id, "oauth_access", || BED.token(IN_10_MINUTES, &id));
    assert_eq!(BED.wix.called_endpoints(&id)[before..], ["oauth_access refresh_token"]);
}

#[test]
fn a_hundred_requests_share_a_refusal() {
    let _turn = turn();
    let id = BED.wix.new_instance();
    BED.wix.refuse_with(&id, "oauth2_token", 50, 404);
    for response in all_at_once(|| BED.token(NOW, &id)) {
        assert_eq!(response.expect(409).code(), "needs_reconnect");
    }
    assert_eq!(BED.wix.calls(&id).len(), 2, "a refusal and its confirmation");
}

#[test]
fn a_hundred_requests_share_a_failure() {
    let _turn = turn();
    let id = BED.wix.new_instance();
    BED.wix.fail_with(&id, "oauth2_token", 1000, 503);
    let responses = all_at_once(|| BED.token(NOW, &id));
    for response in responses {
        // The Worker's own figure: the test's hundred threads wait for the CPU too.
        let took = BED.log.of_request(response.request_id())["duration_ms"].as_u64().expect("a number");
        assert!(took < 16_000, "{took} ms: {response:?}");
        assert_eq!(response.expect(502).code(), "wix_failed");
    }
    // One flight makes four calls. A request that arrives after the flight has failed starts a second one.
    let calls = BED.wix.calls(&id).len();
    assert!((2..=8).contains(&calls), "{calls} calls to Wix");
}

/// Requests a token that takes Wix a while, and then the same one from other isolates. Asserts that all get it at the same
/// time. Returns their sources of the token.
fn sources(bed: &Testbed, followers: &[Isolate]) -> Vec<String> {
    let id = bed.wix.new_instance();
    bed.wix.add_fault(&id, "oauth2_token", 1, &json!({ "kind": "delay", "delay_ms": WORK }));
    let responses: Vec<_> = std::thread::scope(|scope| {
        let leader = scope.spawn(|| bed.token(NOW, &id));
        std::thread::sleep(Duration::from_millis(200));
        let followers = followers.iter().map(|isolate| scope.spawn(|| bed.token(*isolate, &id)));
        let starting: Vec<_> = std::iter::once(leader).chain(followers).collect();
        starting.into_iter().map(|thread| thread.join().expect("a response").expect(200)).collect()
    });
    assert!(responses.iter().all(|response| response.json() == responses[0].json()), "{responses:?}");
    assert_eq!(bed.wix.called_endpoints(&id), ["oauth2_token client_credentials"]);
    let lines: Vec<_> = responses.iter().map(|response| bed.log.of_request(response.request_id())).collect();
    // The Worker's own figure: the test's threads wait for the CPU too. The followers began later than the leader.
    let took: Vec<_> = lines.iter().map(|line| line["duration_ms"].as_u64().expect("a number")).collect();
    assert!(took.iter().all(|time| *time > WORK / 2 && *time < took[0] + LATENCY), "{took:?}");
    assert_no_warning(bed);
    lines.iter().map(|line| line["token_source"].as_str().expect("a source").to_owned()).collect()
}

/// The runtime writes a warning when a request resolves a promise of a request that has ended.
fn assert_no_warning(bed: &Testbed) {
    let warned = |line: &String| line.contains("different request context") || line.contains("hung");
    assert_eq!(bed.log.lines().into_iter().find(warned), None);
}

#[test]
fn a_follower_is_answered_with_its_leader() {
    let _turn = turn();
    let sources = sources(&BED, &[NOW; 7]);
    assert_eq!(sources[0], "client_credentials");
    assert!(sources[1..].iter().all(|source| source == "shared"), "{sources:?}");
}

/// The object of an installation has a flight of its own, which the isolates share.
#[test]
fn a_follower_in_an_object_is_answered_with_its_leader() {
    let bed = Testbed::delivering(|values| values);
    let sources = sources(&bed, &[IN_1_MINUTE, IN_10_MINUTES]);
    assert_eq!(sources, ["client_credentials", "object", "object"]);
}

/// A connection with a token request, which waits. When it is dropped, the system resets it, since the client has not read
/// the response to the request before: workerd sees no other way of closing at once.
fn client_that_leaves(id: &str) -> TcpStream {
    let url = Url::parse(BED.url()).expect("a URL");
    let host = format!("{}:{}", url.host_str().expect("a host"), url.port().expect("a port"));
    let mut stream = TcpStream::connect(&host).expect("a connection");
    let ready = format!("GET /healthz HTTP/1.1\r\nhost: {host}\r\n\r\n");
    stream.write_all(ready.as_bytes()).expect("an open connection");
    stream.read_exact(&mut [0]).expect("a response");
    let path = format!("/v1/instances/{id}/token");
    let head = format!("POST {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {API_KEY}\r\n");
    stream.write_all(format!("{head}content-length: 0\r\n\r\n").as_bytes()).expect("an open connection");
    stream
}

/// `entry.js` lets a request run to its end, so that the leader is not lost, and never wakes a request that the runtime has
/// cancelled.
#[test]
fn a_client_that_leaves_disturbs_nobody() {
    let _turn = turn();
    for leader_leaves in [true, false] {
        let id = BED.wix.new_instance();
        BED.wix.add_fault(&id, "oauth2_token", 1, &json!({ "kind": "delay", "delay_ms": WORK }));
        let response = std::thread::scope(|scope| {
            let pause = || std::thread::sleep(Duration::from_millis(200));
            let stay = || scope.spawn(|| BED.token(NOW, &id));
            let early = leader_leaves.then(|| client_that_leaves(&id));
            pause();
            let stays = stay();
            pause();
            let leaves = early.unwrap_or_else(|| client_that_leaves(&id));
            pause();
            drop(leaves);
            stays.join().expect("a response").expect(200)
        });
        assert_eq!(BED.wix.called_endpoints(&id), ["oauth2_token client_credentials"]);
        let line = BED.log.of_request(response.request_id());
        let other = BED.log.wait_for("the line of the request whose client left", |entry| {
            entry["instance_id"] == id && entry["route"] == line["route"] && entry["request_id"] != line["request_id"]
        });
        let (leader, follower) = if leader_leaves { (&other, &line) } else { (&line, &other) };
        assert_eq!(leader["token_source"], "client_credentials", "{leader}");
        assert_eq!((&follower["token_source"], &follower["status"]), (&json!("shared"), &json!(200)), "{follower}");
    }
    assert_no_warning(&BED);
}
