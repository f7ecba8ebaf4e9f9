//! `GET /install`.

use url::Url;

use crate::testing::world::{APP_ID, World};

/// The consent page to which a request is redirected, and the parameters in its URL.
fn parameters(world: &World, path: &str) -> (String, Vec<(String, String)>) {
    let response = world.get(path).send();
    assert_eq!(response.status, 302, "{}", response.body);
    let location = Url::parse(response.header("location")).unwrap();
    let pairs = location.query_pairs().into_owned().collect();
    (location.as_str().split('?').next().unwrap().to_owned(), pairs)
}

#[test]
fn the_browser_is_sent_to_wixs_consent_page() {
    let (page, pairs) = parameters(&World::new(), "/install?token=a+b%2Fc&extra=1");
    assert_eq!(page, "https://www.wix.com/installer/install");
    let names: Vec<&str> = pairs.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["appId", "redirectUrl", "state", "token"]);
    assert_eq!(pairs[0].1, APP_ID);
    assert_eq!(pairs[1].1, "https://app.example/redirect");
    assert_eq!(pairs[3].1, "a b/c", "the token must be unchanged");
}

#[test]
fn an_install_begun_at_the_worker_has_no_token() {
    let (_, pairs) = parameters(&World::new(), "/install");
    assert!(pairs.iter().all(|(name, _)| name != "token"), "{pairs:?}");
}

#[test]
fn the_redirect_url_has_the_origin_of_public_url() {
    let world = World::with(&[("PUBLIC_URL", "https://apps.example:8443/"), ("WIX_SITE_URL", "http://localhost:9")]);
    let (page, pairs) = parameters(&world, "/install");
    assert_eq!(page, "http://localhost:9/installer/install");
    assert_eq!(pairs[1].1, "https://apps.example:8443/redirect");
}

#[test]
fn every_install_has_its_own_state_and_cookie() {
    let world = World::new();
    let (one, two) = (world.begin_install(), world.begin_install());
    assert_ne!(one.0, two.0);
    assert_ne!(one.1.split('=').next(), two.1.split('=').next());
}

#[test]
fn an_invalid_install_token_is_a_400() {
    let world = World::new();
    for (query, status) in [
        (format!("token={}", "t".repeat(4096)), 302),
        (format!("token={}", "t".repeat(4097)), 400),
        ("token=a&token=b".to_owned(), 400),
    ] {
        assert_eq!(world.get(&format!("/install?{query}")).send().status, status, "{}", query.len());
    }
}

#[test]
fn the_start_of_an_install_calls_nothing_and_stores_nothing() {
    let world = World::new();
    world.begin_install();
    assert!(world.fake.wix().sent().is_empty());
    assert!(world.fake.kv().entries().is_empty());
}

#[test]
fn without_random_bytes_no_install_begins() {
    let world = World::new();
    world.fake.fail_random();
    let response = world.get("/install").send();
    assert_eq!(response.status, 500);
    assert!(!response.has("location") && !response.has("set-cookie"));
}
