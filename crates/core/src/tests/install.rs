use url::Url;

use crate::testing::world::{APP_ID, World};

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
    assert_eq!(pairs[3].1, "a b/c", "as it came");
}

#[test]
fn an_install_that_begins_here_has_no_token() {
    let (_, pairs) = parameters(&World::new(), "/install");
    assert!(pairs.iter().all(|(name, _)| name != "token"), "{pairs:?}");
}

#[test]
fn the_redirect_url_is_of_the_public_url_where_one_is_set() {
    let world = World::with(&[("PUBLIC_URL", "https://apps.example:8443/"), ("WIX_SITE_URL", "http://localhost:9")]);
    let (page, pairs) = parameters(&world, "/install");
    assert_eq!(page, "http://localhost:9/installer/install");
    assert_eq!(pairs[1].1, "https://apps.example:8443/redirect");
}

#[test]
fn no_two_installs_have_the_same_state_or_cookie() {
    let world = World::new();
    let (one, two) = (world.begin_install(), world.begin_install());
    assert_ne!(one.0, two.0);
    assert_ne!(one.1.split('=').next(), two.1.split('=').next());
}

#[test]
fn a_token_that_is_no_token_is_refused() {
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
fn beginning_an_install_asks_nobody_and_keeps_nothing() {
    let world = World::new();
    world.begin_install();
    assert!(world.fake.wix().sent().is_empty());
    assert!(world.fake.kv().entries().is_empty());
}

#[test]
fn without_randomness_no_install_begins() {
    let world = World::new();
    world.fake.fail_random();
    let response = world.get("/install").send();
    assert_eq!(response.status, 500);
    assert!(!response.has("location") && !response.has("set-cookie"));
}
