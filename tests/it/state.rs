//! The `state` of an install flow: what is altered, late or somebody else's is refused, and Wix is not even asked.

use crate::harness::{Flow, Jar, Worker, assert_refused, encode, now, parameter, shared, values_for};
use url::Url;

/// A flow brought to Wix's callback and not finished.
struct Ready {
    jar: Jar,
    callback: Url,
    instance: String,
}

fn ready() -> Ready {
    let stage = shared();
    let mut jar = Jar::default();
    let callback = Flow::begin(stage, &mut jar, None).agree(&stage.wix.site());
    let instance = parameter(&callback, "instanceId");
    stage.wix.delivered(&instance);
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
    /// Refused, with nothing asked of Wix; and the flow could still be finished the right way.
    fn refuses(mut self, title: &str, mut jar: Jar, url: &Url) {
        let answer = jar.get(url);
        assert_refused(&answer, 403, url);
        assert!(answer.text().contains(title), "{answer:?}");
        assert_eq!(shared().wix.called(&self.instance), Vec::<String>::new());
        assert_eq!(shared().instance(&self.instance)["auth"], "oauth");
        self.jar.get(&self.callback).expect(302);
    }
}

const NOT_HERE: &str = "not started here";
const OTHER_BROWSER: &str = "another browser";

#[test]
fn a_missing_state_is_refused() {
    let ready = ready();
    let (jar, url) = (ready.jar.clone(), with_state(&ready.callback, None));
    ready.refuses(NOT_HERE, jar, &url);
}

#[test]
fn an_empty_a_foreign_and_an_endless_state_are_refused() {
    for state in [String::new(), "state".to_owned(), encode([1_u8; 58]), "A".repeat(100_000 / 16)] {
        let ready = ready();
        let (jar, url) = (ready.jar.clone(), with_state(&ready.callback, Some(&state)));
        ready.refuses(NOT_HERE, jar, &url);
    }
}

#[test]
fn an_altered_state_is_refused_wherever_it_was_altered() {
    let mut ready = ready();
    let state = parameter(&ready.callback, "state");
    for at in 0..state.len() {
        let other = if &state[at..=at] == "A" { "B" } else { "A" };
        let altered = format!("{}{other}{}", &state[..at], &state[at + 1..]);
        let url = with_state(&ready.callback, Some(&altered));
        let answer = ready.jar.get(&url);
        assert_eq!(answer.status, 403, "position {at}: {answer:?}");
    }
    for cut in [1, 2, state.len() / 2] {
        let url = with_state(&ready.callback, Some(&state[..state.len() - cut]));
        assert_eq!(ready.jar.get(&url).status, 403, "{cut} characters shorter");
    }
    let url = with_state(&ready.callback, Some(&format!("{state}A")));
    assert_eq!(ready.jar.get(&url).status, 403, "a character longer");
    assert_eq!(shared().wix.called(&ready.instance), Vec::<String>::new());
    ready.jar.get(&ready.callback).expect(302);
}

#[test]
fn a_state_given_twice_is_refused() {
    let mut ready = ready();
    let mut url = ready.callback.clone();
    url.query_pairs_mut().append_pair("state", &parameter(&ready.callback, "state"));
    let answer = ready.jar.get(&url);
    assert_refused(&answer, 400, &url);
    assert_eq!(shared().wix.called(&ready.instance), Vec::<String>::new());
}

#[test]
fn a_state_without_its_cookie_is_refused() {
    let ready = ready();
    let url = ready.callback.clone();
    ready.refuses(OTHER_BROWSER, Jar::default(), &url);
}

#[test]
fn a_state_with_another_browsers_cookie_is_refused() {
    let ready = ready();
    let mut other = Jar::default();
    Flow::begin(shared(), &mut other, None);
    let url = ready.callback.clone();
    ready.refuses(OTHER_BROWSER, other, &url);
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
    ready.refuses(OTHER_BROWSER, jar, &url);
}

#[test]
fn an_altered_cookie_is_refused() {
    let ready = ready();
    let (name, value) = ready.jar.0[0].clone();
    let other = if value.starts_with('A') { "B" } else { "A" };
    let jar = Jar(vec![(name, format!("{other}{}", &value[1..]))]);
    let url = ready.callback.clone();
    ready.refuses(OTHER_BROWSER, jar, &url);
}

#[test]
fn a_victims_browser_cannot_be_sent_into_an_attackers_installation() {
    // The attacker begins, consents, and hands the callback to the victim, whose browser began a flow of its own.
    let attacker = ready();
    let mut victim = Jar::default();
    Flow::begin(shared(), &mut victim, None);
    let url = attacker.callback.clone();
    attacker.refuses(OTHER_BROWSER, victim, &url);
}

#[test]
fn two_installs_in_two_tabs_of_one_browser_both_succeed() {
    let stage = shared();
    let mut jar = Jar::default();
    let first = Flow::begin(stage, &mut jar, None);
    let second = Flow::begin(stage, &mut jar, None);
    let first_callback = first.agree(&stage.wix.site());
    let second_callback = second.agree(&stage.wix.site());
    jar.get(&second_callback).expect(302);
    jar.get(&first_callback).expect(302);
    for callback in [first_callback, second_callback] {
        let id = parameter(&callback, "instanceId");
        stage.wix.delivered(&id);
        assert_eq!(stage.instance(&id)["auth"], "custom");
    }
}

#[test]
fn a_state_is_good_for_ten_minutes_and_none_is_taken_from_the_future() {
    let stage = shared();
    let later = Worker::start(&stage.values.clone().with("CLOCK_OFFSET_SECONDS", "660"));
    let id = stage.wix.installed();
    let at = |worker: &Worker, state: &str| {
        let mut url = stage.callback(&stage.wix.code(&id), &id, state);
        let port = Url::parse(&worker.url).expect("a URL").port();
        url.set_port(port).expect("a port");
        url
    };

    let mut jar = Jar::default();
    let old = Flow::begin_at(&stage.worker.url, &mut jar, None);
    let url = at(&later, &old.state);
    let answer = jar.get(&url);
    assert_refused(&answer, 403, &url);
    assert!(answer.text().contains("longer than ten minutes"), "{answer:?}");
    // The same is fine where no time has passed.
    jar.get(at(&stage.worker, &old.state)).expect(302);

    let mut jar = Jar::default();
    let young = Flow::begin_at(&later.url, &mut jar, None);
    let url = at(&stage.worker, &young.state);
    let answer = jar.get(&url);
    assert_refused(&answer, 403, &url);
    assert!(answer.text().contains(NOT_HERE), "{answer:?}");
    jar.get(at(&later, &young.state)).expect(302);
}

#[test]
fn nine_minutes_are_not_too_long_and_a_state_of_other_keys_is_refused() {
    let stage = shared();
    let values = stage.values.clone().with("CLOCK_OFFSET_SECONDS", "540");
    let nearly_late = Worker::start(&values);
    let id = stage.wix.installed();
    let mut jar = Jar::default();
    let flow = Flow::begin_at(&stage.worker.url, &mut jar, None);
    let query = stage.callback(&stage.wix.code(&id), &id, &flow.state).query().unwrap_or_default().to_owned();
    jar.get(nearly_late.at(&format!("/redirect?{query}"))).expect(302);
    drop(nearly_late);

    let fresh_key = values_for(&stage.wix).with("SEALING_KEYS", format!("it2:{}=", "B".repeat(42) + "A"));
    let stranger = Worker::start(&fresh_key);
    let flow = Flow::begin_at(&stage.worker.url, &mut jar, None);
    let query = stage.callback(&stage.wix.code(&id), &id, &flow.state).query().unwrap_or_default().to_owned();
    let url = Url::parse(&stranger.at(&format!("/redirect?{query}"))).expect("an address");
    let answer = jar.get(&url);
    assert_refused(&answer, 403, &url);
    assert!(answer.text().contains(NOT_HERE), "{answer:?} at {}", now());
}
