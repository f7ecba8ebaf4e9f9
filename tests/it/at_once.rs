//! A hundred callers at once want a token: Wix is asked once, for either kind of token and also where it says no
//! (contract 5). In workerd alone: `wrangler dev` puts a proxy before it that has enough to do with twenty.

use std::sync::LazyLock;
use std::time::Duration;

use serde_json::json;

use crate::harness::{API_KEY, Answer, Direct, Flow, Jar, NOW, parameter};

const CALLERS: usize = 100;

static STAND: LazyLock<Direct> = LazyLock::new(|| Direct::start(|values| values));

/// Everybody asks for a new token; of what Wix does to make it the first is slow, so that all have come before it ends.
fn all_at_once(id: &str, endpoint: &str) -> Vec<Answer> {
    STAND.wix.fault(id, endpoint, 1, &json!({ "kind": "delay", "delay_ms": 2000 }));
    let path = format!("/v1/instances/{id}/token");
    let body = json!({ "force": true });
    std::thread::scope(|scope| {
        let asking: Vec<_> = (0..CALLERS)
            .map(|_| scope.spawn(|| STAND.ask(NOW, "POST", &path).key(API_KEY).json(&body).send()))
            .collect();
        asking.into_iter().map(|thread| thread.join().expect("an answer")).collect()
    })
}

#[test]
fn a_hundred_make_one_call_by_client_credentials() {
    let id = STAND.wix.installed();
    let answers = all_at_once(&id, "oauth2_token");
    let first = answers[0].clone().expect(200).json();
    for answer in answers {
        assert_eq!(answer.expect(200).json(), first);
    }
    assert_eq!(STAND.wix.called(&id), ["oauth2_token client_credentials"]);
}

#[test]
fn a_hundred_make_one_call_by_refresh_token() {
    let site = STAND.wix.site();
    let mut jar = Jar::default();
    let callback = Flow::begin_at(STAND.url(), &mut jar, None).agree(&site);
    let id = parameter(&callback, "instanceId");
    STAND.wix.delivered(&id);
    jar.get(&callback).expect(302);
    let before = STAND.wix.calls(&id).len();

    let answers = all_at_once(&id, "oauth_access");
    let first = answers[0].clone().expect(200).json();
    for answer in answers {
        assert_eq!(answer.expect(200).json(), first);
    }
    assert_eq!(STAND.wix.called(&id)[before..], ["oauth_access refresh_token"]);
}

#[test]
fn a_hundred_share_a_refusal() {
    let id = STAND.wix.installed();
    STAND.wix.fails(&id, "oauth2_token", 50, 404);
    for answer in all_at_once(&id, "oauth2_token") {
        assert_eq!(answer.expect(409).code(), "needs_reconnect");
    }
    assert_eq!(STAND.wix.calls(&id).len(), 2, "one refusal alone is not believed");
}

#[test]
fn a_hundred_share_a_failure() {
    let id = STAND.wix.installed();
    STAND.wix.fails(&id, "oauth2_token", 50, 503);
    let answers = all_at_once(&id, "oauth2_token");
    let longest = answers.iter().map(|answer| answer.took).max().unwrap_or_default();
    for answer in answers {
        assert_eq!(answer.expect(502).code(), "wix_failed");
    }
    assert!(longest < Duration::from_secs(16), "{longest:?}");
    let asked = STAND.wix.calls(&id).len();
    assert!((2..=5).contains(&asked), "Wix was asked {asked} times");
}
