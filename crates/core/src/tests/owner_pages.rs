//! The pages for site owners: subject, language, next step, and the operator's name and address.

use http::Method;

use crate::testing::jws;
use crate::testing::wix::Canned;
use crate::testing::world::{API_KEY, INSTANCE, TestRequest, TestResponse, VICTIM, World};

/// Every page, with a part of its English title.
const PAGES: [(&str, &str); 9] = [
    ("finished", "is now on your site"),
    ("already", "already complete"),
    ("failed", "was not completed"),
    ("expired", "has expired"),
    ("used", "has expired"),
    ("other browser", "the browser you started in"),
    ("wait", "wait a moment"),
    ("unavailable", "not available right now"),
    ("nothing", "nothing here"),
];

fn with_language<'a>(request: TestRequest<'a>, language: &str) -> TestRequest<'a> {
    request.header("accept-language", language)
}

/// Opens a page.
fn open(world: &World, name: &str, language: &str) -> TestResponse {
    let get = |path: &str| with_language(world.get(path), language).send();
    let call_back = |cookie: &str, state: &str| with_language(world.callback(state, cookie, INSTANCE), language).send();
    let (state, cookie) = world.begin_install();
    match name {
        "finished" => get("/connected/done"),
        "already" => get("/connected/done?again"),
        "failed" => get("/redirect?state=planted&code=planted"),
        "expired" => {
            world.fake.clock().advance(601);
            call_back(&cookie, &state)
        }
        "used" => {
            world.fake.wix().always("/oauth/access", Canned::status(400));
            call_back(&cookie, &state)
        }
        "other browser" => call_back("", &state),
        "wait" => {
            world.fake.wix().always("/oauth/access", Canned::status(500));
            call_back(&cookie, &state)
        }
        "unavailable" => {
            world.fake.wix().always("/oauth/access", Canned::text(401, r#"{"error":"invalid_client"}"#));
            call_back(&cookie, &state)
        }
        _ => get("/planted?planted"),
    }
}

#[test]
fn each_page_says_what_happened_in_the_language_of_the_browser() {
    for (name, title) in PAGES {
        let mut bodies = Vec::new();
        for (accept, lang, dir) in [
            ("en", "en", "ltr"),
            ("es-MX,es;q=0.9", "es", "ltr"),
            ("pt-BR", "pt", "ltr"),
            ("ja, de;q=0.5", "de", "ltr"),
            ("fr-CA", "fr", "ltr"),
            ("iw-IL", "he", "rtl"),
        ] {
            let page = open(&World::new(), name, accept);
            assert!(page.body.contains(&format!(r#"<html lang="{lang}" dir="{dir}">"#)), "{name}: {}", page.body);
            assert_eq!(page.header("content-language"), lang, "{name}");
            assert!(page.body.contains(page.header("x-request-id")), "{name} has no request id");
            for secret in ["planted", "code=", "state=", "{app}"] {
                assert!(!page.body.contains(secret), "{name}: {secret}: {}", page.body);
            }
            let (_, main) = page.body.split_once("<main>").unwrap();
            bodies.push(main.replace(page.header("x-request-id"), ""));
        }
        assert!(bodies[0].contains(title), "{name}: {}", bodies[0]);
        let count = bodies.len();
        bodies.sort();
        bodies.dedup();
        assert_eq!(bodies.len(), count, "{name}: two languages have the same page");
    }
}

#[test]
fn each_page_has_the_next_step() {
    let again = Some(r#"href="/install">Start again</a>"#);
    let retry = Some(r#"href="">Try again</a>"#);
    let wix = Some(r#"href="https://www.wix.com/" target="_top">Go to Wix</a>"#);
    for (name, status, link, retry_after) in [
        ("finished", 200, wix, None),
        ("already", 200, wix, None),
        ("failed", 403, again, None),
        ("expired", 403, again, None),
        ("used", 400, again, None),
        ("other browser", 403, again, None),
        ("wait", 502, retry, Some("60")),
        ("unavailable", 503, retry, Some("300")),
        ("nothing", 404, None, None),
    ] {
        let page = open(&World::new(), name, "en");
        assert_eq!(page.status, status, "{name}");
        assert_eq!(page.body.matches("href=").count(), usize::from(link.is_some()), "{name}: {}", page.body);
        assert!(page.body.contains(link.unwrap_or_default()), "{name}: {}", page.body);
        assert_eq!(page.has("retry-after").then(|| page.header("retry-after")), retry_after, "{name}");
    }
    // The external flow begins elsewhere.
    let page = World::new().get("/connected?state=x").send();
    assert!(page.body.contains(r#"href="/connect">Start again</a>"#), "{}", page.body);
}

/// Wix installs the app before the browser comes back, so the Worker cannot know whether the site has it.
#[test]
fn a_failed_flow_does_not_say_that_nothing_was_installed() {
    let world = World::new();
    let (state, cookie) = world.begin_install();
    let not_proven = world.callback(&state, &cookie, VICTIM).send();
    for (page, code) in [(not_proven, "instance_not_proven"), (open(&world, "failed", "en"), "state_invalid")] {
        assert!(page.body.contains(code) && page.body.contains("If your site already has the app"), "{}", page.body);
    }
}

#[test]
fn the_apps_name_and_the_support_address_are_on_every_page_and_escaped() {
    let world =
        || World::with(&[("APP_NAME", "Rates & <Taxes>"), ("SUPPORT_URL", "https://app.example/help?a=1&b=\"2\"")]);
    for (name, _) in PAGES {
        for language in ["en", "he"] {
            let page = open(&world(), name, language).body;
            assert!(page.contains("<bdi>Rates &amp; &lt;Taxes&gt;</bdi>"), "{name}: {page}");
            assert!(page.contains(r#"href="https://app.example/help?a=1&amp;b=%222%22""#), "{name}: {page}");
            assert!(!page.contains("<Taxes>"), "{name}: {page}");
        }
    }
    let page = open(&world(), "finished", "en").body;
    assert!(page.contains("<title>Rates &amp; &lt;Taxes&gt; is now on your site</title>"), "{page}");
    assert!(page.contains("Contact support"), "{page}");
    let plain = open(&World::new(), "finished", "en").body;
    assert!(plain.contains("The app</bdi> is now on your site") && !plain.contains("Contact support"), "{plain}");
}

#[test]
fn every_wait_says_when_to_come_back() {
    let world = World::new();
    world.fake.limit_rate(1);
    let begin = || world.get("/connect").header("cf-connecting-ip", "203.0.113.7").send();
    assert_eq!(begin().status, 302);
    let limited = begin();
    assert_eq!((limited.status, limited.header("retry-after")), (429, "60"));
    assert!(limited.body.contains("wait a moment"), "{}", limited.body);

    let misconfigured = World::with(&[("WIX_APP_ID", ""), ("APP_NAME", "Rates")]);
    let page = misconfigured.get("/install").header("accept-language", "fr").send();
    assert_eq!((page.status, page.header("retry-after")), (503, "300"));
    assert!(page.body.contains("n’est pas disponible"), "{}", page.body);

    let world = World::new();
    world.fake.kv().fail_where(|_, _| true);
    let failed = world.connect();
    assert_eq!((failed.status, failed.header("retry-after")), (503, "60"));
}

#[test]
fn only_pages_for_site_owners_are_translated() {
    let world = World::new();
    for request in [
        world.get("/"),
        world.get("/readyz"),
        world.get("/v1/instances"),
        world.get("/v1/nothing"),
        world.get("/v1/instances?limit=0").key(API_KEY),
        world.post("/webhook").body(jws::installed("planted", 0)),
        world.call(Method::DELETE, "/nothing"),
    ] {
        let response = with_language(request, "de").send();
        assert!(!response.has("content-language"), "{}", response.body);
        assert!(!response.body.contains("Anfrage-ID") && !response.body.contains("Bitte"), "{}", response.body);
    }
}
