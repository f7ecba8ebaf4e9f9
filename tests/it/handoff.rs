//! The hand-over of a new customer in workerd: `ref` from the start of a flow to the app's back end, and the single use of
//! what the browser brings. `tests/it/browser.rs` plays it in a browser.

use std::sync::LazyLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::json;
use url::Url;
use workerd::Counts;

use crate::harness::{
    Flow, IN_1_MINUTE, IN_2_HOURS, Isolate, Jar, NOW, Response, TIMEOUT, Testbed, Values, external, parameter,
};

const PAGE: &str = "https://shop.example/welcome?from=wix#top";
const ODD: &str = " a+b&c=d;e#f%41/?\"\\<>'é😀\u{2028}\u{202e}\u{fffd}";

static PLAIN: LazyLock<Testbed> = LazyLock::new(|| Testbed::start(|values| values.with("AFTER_INSTALL_URL", PAGE)));
static WITH_OBJECTS: LazyLock<Testbed> =
    LazyLock::new(|| Testbed::delivering(|values| values.with("AFTER_INSTALL_URL", PAGE)));

fn beds() -> [&'static Testbed; 2] {
    [&PLAIN, &WITH_OBJECTS]
}

fn query(reference: &str) -> String {
    format!("?{}", url::form_urlencoded::Serializer::new(String::new()).append_pair("ref", reference).finish())
}

/// Runs a `/connect` flow for a new site. Returns the page at its end, and the instance.
fn connect(bed: &Testbed, reference: &str) -> (Url, String) {
    let mut jar = Jar::default();
    let callback = external(bed.url(), &mut jar, &query(reference), &bed.wix.site(), "agree");
    (page(&jar.get(&callback)), parameter(&callback, "instanceId"))
}

/// The same of an `/install` flow.
fn install(bed: &Testbed, reference: &str) -> (Url, String) {
    let mut jar = Jar::default();
    let installer = jar.get(format!("{}/install{}", bed.url(), query(reference))).expect(302).location();
    let flow = Flow { state: parameter(&installer, "state"), installer };
    let callback = flow.consent(&bed.wix.site());
    (page(&jar.get(&callback)), parameter(&callback, "instanceId"))
}

/// The app's page, to which a response redirects the browser.
fn page(response: &Response) -> Url {
    let url = response.clone().expect(302).location();
    assert!(url.as_str().starts_with("https://shop.example/welcome?from=wix&"), "{response:?}");
    assert_eq!(url.fragment(), Some("top"));
    url
}

fn take(bed: &Testbed, isolate: Isolate, page: &Url) -> Response {
    bed.api(isolate, "POST", "/v1/handoffs").json(&json!({ "handoff": parameter(page, "handoff") })).send()
}

/// Webhook and callback write the row at the same moment, so that it may lack the facts of one of them for a second.
fn wait_for_ref(bed: &Testbed, id: &str, reference: &str) {
    let until = Instant::now() + TIMEOUT;
    loop {
        let record = bed.api(NOW, "GET", &format!("/v1/instances/{id}")).send().expect(200).json();
        if record["ref"] == reference {
            return;
        }
        assert!(Instant::now() < until, "the record has no ref: {record}");
        sleep(Duration::from_millis(50));
    }
}

fn assert_refused(response: Response) {
    assert_eq!(response.expect(422).code(), "not_genuine");
}

#[test]
fn the_back_end_learns_which_installation_its_customer_connected() {
    let longest = "😀".repeat(512);
    for bed in beds() {
        for (flow, run) in [("connect", connect as fn(&Testbed, &str) -> (Url, String)), ("install", install)] {
            for reference in ["7", ODD, &longest] {
                let (page, id) = run(bed, reference);
                let answer = take(bed, NOW, &page).expect(200).json();
                assert_eq!((&answer["instance_id"], &answer["flow"]), (&json!(id), &json!(flow)), "{answer}");
                assert_eq!((&answer["ref"], answer["site_id"].is_string()), (&json!(reference), true), "{answer}");
                bed.wix.wait_for_deliveries(&id);
                wait_for_ref(bed, &id, reference);
                // The recheck reads all facts anew.
                bed.cron(IN_2_HOURS).send().expect(200);
                wait_for_ref(bed, &id, reference);
            }
        }
        let listed = bed.api(NOW, "GET", "/v1/instances?limit=1000").send().expect(200).json();
        let listed = listed["instances"].as_array().expect("a list");
        assert!(listed.len() >= 6 && listed.iter().all(|instance| instance.get("ref").is_none()), "{listed:?}");
    }
}

/// Exactly, in the object; without objects in one isolate exactly, and in others as soon as KV shows it.
#[test]
fn of_concurrent_uses_one_succeeds() {
    for (bed, isolates) in [(&*PLAIN, &[NOW][..]), (&*WITH_OBJECTS, &[NOW, IN_1_MINUTE])] {
        for _ in 0..5 {
            let (page, _) = connect(bed, "7");
            let all: Vec<Response> = std::thread::scope(|scope| {
                let page = &page;
                let uses: Vec<_> =
                    isolates.iter().cycle().take(16).map(|isolate| scope.spawn(|| take(bed, *isolate, page))).collect();
                uses.into_iter().map(|thread| thread.join().expect("a response")).collect()
            });
            let (good, refused): (Vec<_>, Vec<_>) = all.into_iter().partition(|response| response.status == 200);
            assert_eq!(good.len(), 1, "{good:?}");
            refused.into_iter().for_each(assert_refused);
            assert_refused(take(bed, IN_1_MINUTE, &page));
        }
    }
}

#[test]
fn a_handoff_expires_and_is_refused_where_it_was_altered() {
    for bed in beds() {
        let (page, id) = connect(bed, "7");
        assert_refused(take(bed, IN_2_HOURS, &page));
        let value = parameter(&page, "handoff");
        let send = |value: &str| bed.api(NOW, "POST", "/v1/handoffs").json(&json!({ "handoff": value })).send();
        let (_, envelope) = value.split_once('.').expect("an envelope");
        let (other, other_id) = connect(bed, "8");
        let other = parameter(&other, "handoff");
        for altered in [
            format!("{other_id}.{envelope}"),
            format!("{id}.{}", other.split_once('.').expect("an envelope").1),
            value.replace('.', "A"),
            value[..value.len() - 1].to_owned(),
            format!("{value}A"),
            String::new(),
        ] {
            assert_refused(send(&altered));
        }
        send(&value).expect(200);
        send(&other).expect(200);
        bed.request(NOW, "POST", "/v1/handoffs").json(&json!({ "handoff": value })).send().expect(401);
        bed.api(NOW, "POST", "/v1/handoffs").body("{}").send().expect(400);
    }
}

/// A back end that did not get the answer, or whose customer reloads the page.
#[test]
fn the_same_claimant_gets_the_same_answer_again() {
    for bed in beds() {
        let (page, _) = connect(bed, "7");
        let take_by = |isolate, key: &str| {
            let request = bed.api(isolate, "POST", "/v1/handoffs").header("idempotency-key", key);
            request.json(&json!({ "handoff": parameter(&page, "handoff") })).send()
        };
        let first = take_by(NOW, "session-a").expect(200).json();
        for isolate in [NOW, IN_1_MINUTE] {
            assert_eq!(take_by(isolate, "session-a").expect(200).json(), first);
            assert_refused(take_by(isolate, "session-b"));
            assert_refused(take(bed, isolate, &page));
        }
    }
}

#[test]
fn a_failed_flow_returns_to_the_app_only_with_an_authentic_state_and_a_ref() {
    let bed = &*PLAIN;
    let (site, url) = (bed.wix.site(), bed.url());
    let failed = |response: &Response| {
        let page = page(response);
        assert_eq!(parameter(&page, "ref"), ODD);
        parameter(&page, "error")
    };
    let mut jar = Jar::default();
    let callback = external(url, &mut jar, &query(ODD), &site, "agree");
    let at = |isolate: Isolate, callback: &Url, jar: &Jar| {
        let path = format!("{}?{}", callback.path(), callback.query().unwrap_or_default());
        let cookies: Vec<String> = jar.0.iter().map(|(name, value)| format!("{name}={value}")).collect();
        bed.request(isolate, "GET", &path).header("cookie", cookies.join("; ")).send()
    };
    assert_eq!(failed(&at(NOW, &callback, &Jar::default())), "other_browser");
    assert_eq!(failed(&at(IN_2_HOURS, &callback, &jar)), "expired");
    let mut unproven = callback.clone();
    let kept = callback.query_pairs().into_owned().filter(|(name, _)| name != "signedInstance");
    unproven.query_pairs_mut().clear().extend_pairs(kept.collect::<Vec<_>>());
    assert_eq!(failed(&at(NOW, &unproven, &jar)), "not_proven");
    let mut denied = callback.clone();
    denied.set_query(Some(&format!("state={}&error=access_denied", parameter(&callback, "state"))));
    assert_eq!(failed(&at(NOW, &denied, &jar)), "denied");
    let mut forged = callback.clone();
    forged.set_query(Some(&callback.query().unwrap_or_default().replacen("state=A", "state=B", 1)));
    assert_ne!(forged, callback);
    at(NOW, &forged, &jar).expect(403);
    // None of these has used the flow up.
    assert!(page(&at(NOW, &callback, &jar)).query_pairs().any(|(name, _)| name == "handoff"));

    let id = bed.wix.new_instance();
    bed.wix.fail_with(&id, "oauth_access", 1_000, 503);
    let mut jar = Jar::default();
    let state = parameter(&jar.get(format!("{url}/install{}", query(ODD))).expect(302).location(), "state");
    let callback = Flow::callback(url, &bed.wix.code(&id), &id, &state);
    assert_eq!(failed(&at(NOW, &callback, &jar)), "wix_failed");
    bed.wix.remove_faults(&id);
    // Without a ref, a page.
    let state = parameter(&jar.get(format!("{url}/install")).expect(302).location(), "state");
    at(NOW, &Flow::callback(url, "made-up", &id, &state), &Jar::default()).expect(403);
}

#[test]
fn a_bad_ref_is_refused_with_a_page() {
    for path in ["/connect", "/install"] {
        for bad in ["a%0Ab", "%FF", "%C2%85", "a&ref=b", &"a".repeat(513)] {
            let page = PLAIN.request(NOW, "GET", &format!("{path}?ref={bad}")).send().expect(400);
            assert!(page.text().contains("ref: it must be "), "{page:?}");
            assert_eq!(page.header("set-cookie"), None);
        }
    }
}

#[test]
fn the_share_url_id_of_the_configuration_is_the_default() {
    let [own, other] = [crate::harness::guid(), crate::harness::guid()];
    let bed = Testbed::start(|values| values.with("WIX_SHARE_URL_ID", &own));
    for (path, id) in [("/connect".to_owned(), &own), (format!("/connect?shareUrlId={other}"), &other)] {
        let installer = bed.request(NOW, "GET", &path).send().expect(302).location();
        assert_eq!(parameter(&installer, "shareUrlId"), **id);
    }
}

#[test]
fn neither_log_nor_kv_shows_ref_or_handoff_in_the_clear() {
    for bed in beds() {
        let (page, id) = connect(bed, "planted-reference");
        let used = take(bed, NOW, &page).expect(200);
        bed.wait_for_tasks(&used);
        take(bed, NOW, &page).expect(422);
        let handoff = parameter(&page, "handoff");
        let log = bed.log.lines().join("\n");
        assert!(log.contains(&id) && log.contains("/v1/handoffs"), "{log}");
        assert!(!log.contains("planted-reference") && !log.contains(&handoff));
        let stored = bed.kv.entries("v1:").into_iter().any(|entry| {
            String::from_utf8_lossy(&entry.value).contains(&handoff) || entry.key.contains("planted-reference")
        });
        assert!(!stored, "the value is nowhere");
    }
}

/// Uses its own test beds, since it counts all operations.
#[test]
fn a_hand_over_costs_a_read_and_a_write_or_a_request_to_the_object() {
    let with_page = |values: Values| values.with("AFTER_INSTALL_URL", PAGE);
    for (bed, cost) in [(Testbed::start(with_page), [1, 1, 0, 0]), (Testbed::delivering(with_page), [0; 4])] {
        let (page, id) = connect(&bed, "7");
        bed.wix.wait_for_deliveries(&id);
        sleep(Duration::from_secs(3));
        bed.kv.clear_operations();
        take(&bed, NOW, &page).expect(200);
        let count = || {
            let Counts { reads, writes, removals, lists } = bed.kv.counts();
            [reads, writes, removals, lists]
        };
        assert_eq!(count(), cost);
        assert_refused(take(&bed, NOW, &page));
        assert_eq!(count(), cost, "a second use costs no operation");
    }
}
