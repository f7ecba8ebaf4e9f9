//! The session of the operator's console in real workerd: sign-in, use, attacks, and sign-out.

use crate::harness::{API_KEY, Request, Worker, api_key, guid, shared};

const NAME: &str = "__Host-wix-edge-session";

/// A Worker with an API key that may sign in.
fn start(keys: &str) -> Worker {
    Worker::start(&shared().values.clone().with("API_KEYS", keys))
}

fn admin() -> String {
    format!("{}:token+admin", api_key("operator", API_KEY))
}

fn sign_in(worker: &Worker) -> String {
    let response = worker.request("POST", "/v1/session").key(API_KEY).send().expect(200);
    assert!(response.json()["expires_at"].as_u64().is_some(), "{response:?}");
    let cookie = response.header("set-cookie").expect("a cookie").to_owned();
    let (pair, attributes) = cookie.split_once("; ").expect("attributes");
    assert_eq!(attributes, "Max-Age=28800; Path=/; Secure; HttpOnly; SameSite=Strict");
    pair.to_owned()
}

fn of_page(request: Request, cookie: &str) -> Request {
    request.header("cookie", cookie).header("sec-fetch-site", "same-origin")
}

#[test]
fn a_page_of_the_same_origin_has_a_session_and_no_other_request_has() {
    let worker = start(&admin());
    let cookie = sign_in(&worker);
    let list = || worker.request("GET", "/v1/instances");
    of_page(list(), &cookie).send().expect(200);
    of_page(list(), &format!("a=b; {cookie}; c=d")).send().expect(200);
    of_page(worker.request("GET", "/v1/export"), &cookie).send().expect(200);
    of_page(worker.request("POST", &format!("/v1/instances/{}/token", guid())), &cookie).send().expect(403);
    of_page(worker.request("GET", &format!("/v1/instances/{}/wix/a", guid())), &cookie).send().expect(403);

    for site in ["cross-site", "same-site", "none", "same-origin, same-origin"] {
        list().header("cookie", &cookie).header("sec-fetch-site", site).send().expect(401);
    }
    let end = cookie.chars().last().expect("a character");
    let forged = format!("{}{}", &cookie[..cookie.len() - 1], if end == 'A' { 'E' } else { 'A' });
    for request in [
        list().header("cookie", &cookie),
        of_page(list(), &forged),
        of_page(list(), &format!("{cookie}; {cookie}")),
        of_page(list(), &cookie).header("authorization", "Bearer unknown"),
        of_page(worker.request("POST", "/v1/session"), &cookie),
        worker.request("POST", "/v1/events/test").header("cookie", &cookie).form(&[("a", "b")]),
        worker.request("POST", "/v1/session").key("unknown"),
    ] {
        request.send().expect(401);
    }

    let response = worker.request("DELETE", "/v1/session").send().expect(204);
    let cleared = format!("{NAME}=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=Strict");
    assert_eq!(response.header("set-cookie"), Some(cleared.as_str()));
    let log = worker.log.lines().join("\n");
    assert!(!log.contains(cookie.split_once('=').expect("a value").1), "the log must not have the cookie");
    assert!(log.contains(r#""client":"operator""#));
}

#[test]
fn a_session_ends_with_its_key() {
    let cookie = sign_in(&start(&admin()));
    for (keys, status) in [
        (format!("{}:admin", api_key("operator", API_KEY)), 200),
        (format!("{}:token", api_key("operator", API_KEY)), 401),
        (format!("{}:admin", api_key("operator", "another")), 401),
        (format!("{}:admin", api_key("renamed", API_KEY)), 401),
    ] {
        of_page(start(&keys).request("GET", "/v1/instances"), &cookie).send().expect(status);
    }
}
