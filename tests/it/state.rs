//! The `state` of an install flow: an altered, expired or foreign state is refused without a call to Wix.

use crate::harness::{Flow, Jar, Worker, assert_refused, encode, now, parameter, shared, values_for};
use url::Url;

/// A flow before its callback.
struct Ready {
    jar: Jar,
    callback: Url,
    instance: String,
}

fn ready() -> Ready {
    let stage = shared();
    let mut jar = Jar::default();
    let callback = Flow::begin(stage, &mut jar, None).consent(&stage.wix.site());
    let instance = parameter(&callback, "instanceId");
    stage.wix.wait_for_deliveries(&instance);
    Ready { jar, callback, instance }
}

fn with_state(callback: &Url, state: Option<&str>) -> Url {
    let pairs: Vec<(String, String)> =
        callback.query_pairs().into_owned().filter(|(name, _)| name != "state").collect();
    let mut url = callback.clone();
    url.query_pairs_mut().clear().extend_pairs(pairs);
    if let Some(state) = state {
        url.query_pairs_mut().append_pair("state", state);
    }
    url
}

impl Ready {
    /// Asserts that a callback is refused without a call to Wix, and that the right callback still succeeds.
    fn assert_refusal(mut self, title: &str, mut jar: Jar, url: &Url) {
        let response = jar.get(url);
        assert_refused(&response, 403, url);
        assert!(response.text().contains(title), "{response:?}");
        assert_eq!(shared().wix.called_endpoints(&self.instance), Vec::<String>::new());
        assert_eq!(shared().instance(&self.instance)["auth"], "oauth");
        self.jar.get(&self.callback).expect(302);
    }
}

const NOT_HERE: &str = "state_invalid";
const OTHER_BROWSER: &str = "another browser";

#[test]
fn a_missing_state_is_refused() {
    let ready = ready();
    let (jar, url) = (ready.jar.clone(), with_state(&ready.callback, None));
    ready.assert_refusal(NOT_HERE, jar, &url);
}

#[test]
fn an_empty_malformed_or_overlong_state_is_refused() {
    for state in [String::new(), "no-state".to_owned(), encode([1_u8; 58]), "A".repeat(100_000 / 16)] {
        let ready = ready();
        let (jar, url) = (ready.jar.clone(), with_state(&ready.callback, Some(&state)));
        ready.assert_refusal(NOT_HERE, jar, &url);
    }
}

#[test]
fn a_state_altered_at_any_position_is_refused() {
    let mut ready = ready();
    let state = parameter(&ready.callback, "state");
    for at in 0..state.len() {
        let other = if &state[at..=at] == "A" { "B" } else { "A" };
        let altered = format!("{}{other}{}", &state[..at], &state[at + 1..]);
        let url = with_state(&ready.callback, Some(&altered));
        let response = ready.jar.get(&url);
        assert_eq!(response.status, 403, "position {at}: {response:?}");
    }
    for cut in [1, 2, state.len() / 2] {
        let url = with_state(&ready.callback, Some(&state[..state.len() - cut]));
        assert_eq!(ready.jar.get(&url).status, 403, "{cut} characters shorter");
    }
    let url = with_state(&ready.callback, Some(&format!("{state}A")));
    assert_eq!(ready.jar.get(&url).status, 403, "a character longer");
    assert_eq!(shared().wix.called_endpoints(&ready.instance), Vec::<String>::new());
    ready.jar.get(&ready.callback).expect(302);
}

#[test]
fn a_repeated_state_is_refused() {
    let mut ready = ready();
    let mut url = ready.callback.clone();
    url.query_pairs_mut().append_pair("state", &parameter(&ready.callback, "state"));
    let response = ready.jar.get(&url);
    assert_refused(&response, 400, &url);
    assert_eq!(shared().wix.called_endpoints(&ready.instance), Vec::<String>::new());
}

#[test]
fn a_state_without_its_cookie_is_refused() {
    let ready = ready();
    let url = ready.callback.clone();
    ready.assert_refusal(OTHER_BROWSER, Jar::default(), &url);
}

#[test]
fn a_state_with_another_browsers_cookie_is_refused() {
    let ready = ready();
    let mut other = Jar::default();
    Flow::begin(shared(), &mut other, None);
    let url = ready.callback.clone();
    ready.assert_refusal(OTHER_BROWSER, other, &url);
}

#[test]
fn a_state_with_another_flows_value_in_its_cookie_is_refused() {
    let ready = ready();
    let mut jar = ready.jar.clone();
    Flow::begin(shared(), &mut jar, None);
    assert_eq!(jar.0.len(), 2);
    let foreign = jar.0[1].1.clone();
    let jar = Jar(vec![(jar.0[0].0.clone(), foreign)]);
    let url = ready.callback.clone();
    ready.assert_refusal(OTHER_BROWSER, jar, &url);
}

#[test]
fn an_altered_cookie_is_refused() {
    let ready = ready();
    let (name, value) = ready.jar.0[0].clone();
    let other = if value.starts_with('A') { "B" } else { "A" };
    let jar = Jar(vec![(name, format!("{other}{}", &value[1..]))]);
    let url = ready.callback.clone();
    ready.assert_refusal(OTHER_BROWSER, jar, &url);
}

#[test]
fn an_attackers_callback_is_refused_in_a_victims_browser() {
    // The attacker starts a flow, consents, and sends the callback to the victim, whose browser has started another flow.
    let attacker = ready();
    let mut victim = Jar::default();
    Flow::begin(shared(), &mut victim, None);
    let url = attacker.callback.clone();
    attacker.assert_refusal(OTHER_BROWSER, victim, &url);
}

#[test]
fn two_installs_in_two_tabs_of_one_browser_both_succeed() {
    let stage = shared();
    let mut jar = Jar::default();
    let first = Flow::begin(stage, &mut jar, None);
    let second = Flow::begin(stage, &mut jar, None);
    let first_callback = first.consent(&stage.wix.site());
    let second_callback = second.consent(&stage.wix.site());
    jar.get(&second_callback).expect(302);
    jar.get(&first_callback).expect(302);
    for callback in [first_callback, second_callback] {
        let id = parameter(&callback, "instanceId");
        stage.wix.wait_for_deliveries(&id);
        assert_eq!(stage.instance(&id)["auth"], "custom");
    }
}

#[test]
fn a_state_expires_after_ten_minutes_and_a_future_state_is_refused() {
    let stage = shared();
    let later = Worker::start(&stage.values.clone().with("CLOCK_OFFSET_SECONDS", "660"));
    let id = stage.wix.new_instance();
    let at = |worker: &Worker, state: &str| {
        let mut url = stage.callback(&stage.wix.code(&id), &id, state);
        let port = Url::parse(&worker.url).expect("a URL").port();
        url.set_port(port).expect("a port");
        url
    };

    let mut jar = Jar::default();
    let old = Flow::begin_at(&stage.worker.url, &mut jar, None);
    let url = at(&later, &old.state);
    let response = jar.get(&url);
    assert_refused(&response, 403, &url);
    assert!(response.text().contains("has expired"), "{response:?}");
    // A Worker whose clock has not advanced accepts the same state.
    jar.get(at(&stage.worker, &old.state)).expect(302);

    let mut jar = Jar::default();
    let young = Flow::begin_at(&later.url, &mut jar, None);
    let url = at(&stage.worker, &young.state);
    let response = jar.get(&url);
    assert_refused(&response, 403, &url);
    assert!(response.text().contains(NOT_HERE), "{response:?}");
    jar.get(at(&later, &young.state)).expect(302);
}

#[test]
fn a_state_is_valid_after_nine_minutes_and_refused_under_another_sealing_key() {
    let stage = shared();
    let values = stage.values.clone().with("CLOCK_OFFSET_SECONDS", "540");
    let nearly_late = Worker::start(&values);
    let id = stage.wix.new_instance();
    let mut jar = Jar::default();
    let flow = Flow::begin_at(&stage.worker.url, &mut jar, None);
    let query = stage.callback(&stage.wix.code(&id), &id, &flow.state).query().unwrap_or_default().to_owned();
    jar.get(nearly_late.at(&format!("/redirect?{query}"))).expect(302);
    drop(nearly_late);

    let fresh_key = values_for(&stage.wix).with("SEALING_KEYS", format!("it2:{}=", "B".repeat(42) + "A"));
    let stranger = Worker::start(&fresh_key);
    let flow = Flow::begin_at(&stage.worker.url, &mut jar, None);
    let query = stage.callback(&stage.wix.code(&id), &id, &flow.state).query().unwrap_or_default().to_owned();
    let url = Url::parse(&stranger.at(&format!("/redirect?{query}"))).expect("a URL");
    let response = jar.get(&url);
    assert_refused(&response, 403, &url);
    assert!(response.text().contains(NOT_HERE), "{response:?} at {}", now());
}
