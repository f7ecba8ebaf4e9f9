//! The routes, each with what comes before it, the request itself, what it answers when nothing fails, and how it all ends.

use serde_json::{Value, json};
use url::Url;

use crate::harness::{API_KEY, Ask, Direct, Flow, Jar, LATER, Message, NOW, ask, get, now, parameter};

/// A row's route.
pub struct Route {
    pub name: &'static str,
    /// With `FINISH_CONFIGURATION=on-install`.
    pub on_install: bool,
    pub prepare: fn(&Direct) -> Case,
    /// The status when nothing fails.
    pub good: u16,
    /// How the instance ends: its record, and how its next token is had, in another isolate.
    pub end: &'static str,
}

impl Route {
    /// Whether it brings something that must last. The others note what the next request finds out again.
    pub fn lasts(&self) -> bool {
        ["webhook", "redirect", "connected", "cron"].iter().any(|subject| self.name.starts_with(subject))
    }
}

/// One request about an instance of its own.
pub struct Case {
    pub id: String,
    pub ask: Ask,
    /// What may stand in no log line and no refusal.
    pub secrets: Vec<String>,
}

const fn route(name: &'static str, prepare: fn(&Direct) -> Case, good: u16, end: &'static str) -> Route {
    Route { name, on_install: false, prepare, good, end }
}

const fn on_install(name: &'static str, prepare: fn(&Direct) -> Case, good: u16, end: &'static str) -> Route {
    Route { name, on_install: true, prepare, good, end }
}

pub static ROUTES: [Route; 29] = [
    route("webhook installed", webhook_installed, 200, "installed oauth, client_credentials"),
    route("webhook removed", webhook_removed, 200, "removed oauth, 410"),
    route("webhook plan", webhook_plan, 200, "installed oauth gold, client_credentials"),
    route("webhook of an unknown instance", webhook_other, 200, "pending oauth, client_credentials"),
    route("webhook that came before", webhook_again, 200, "installed oauth, client_credentials"),
    on_install("webhook installed, on-install", webhook_installed, 200, "installed oauth configured, kept, 1 event"),
    route("redirect", redirect, 302, "installed custom, refresh_token"),
    on_install("redirect, on-install", redirect_alone, 302, "installed custom configured, refresh_token, 1 event"),
    route("connected", connected, 302, "installed oauth, client_credentials"),
    route("token by client credentials", token_oauth, 200, "installed oauth, kept"),
    route("token by refresh token", token_custom, 200, "installed custom, refresh_token"),
    route("token by a refresh token that changes", token_rotated, 200, "installed custom, refresh_token"),
    route("token where the refresh token is dead", token_healed, 200, "installed custom_healed, kept"),
    route("token that Wix refuses", token_refused, 409, "needs_reconnect oauth, 409"),
    route("token that Wix refused before", token_accepted, 200, "installed oauth, kept"),
    route("finish-configuration", finish, 200, "installed oauth configured, kept, 1 event"),
    route("bi-events", bi_events, 200, "installed oauth, kept, 1 event"),
    route("proxy", proxy, 200, "installed oauth, kept"),
    route("proxy with a dead token", proxy_dead, 200, "installed oauth, kept"),
    route("list", list, 200, "installed oauth, client_credentials"),
    route("get", get_instance, 200, "installed oauth, client_credentials"),
    route("identity of a token", identity, 200, "installed oauth, kept"),
    route("cron, a row to be settled", cron, 200, "installed oauth, client_credentials"),
    on_install("cron, an event to be sent", cron_finish, 200, "installed oauth configured, kept, 1 event"),
    route("readyz", |stand| plain(stand, "/readyz"), 200, "installed oauth, client_credentials"),
    route("healthz", |stand| plain(stand, "/healthz"), 200, "installed oauth, client_credentials"),
    route("home", |stand| plain(stand, "/"), 200, "installed oauth, client_credentials"),
    route("install", |stand| plain(stand, "/install"), 302, "installed oauth, client_credentials"),
    route("connect", |stand| plain(stand, "/connect"), 302, "installed oauth, client_credentials"),
];

/// An instance that Wix knows and the Worker does not.
pub fn at_wix(stand: &Direct) -> String {
    let made = stand.wix.post("/_sim/installs", &json!({}));
    made["instance"]["instance_id"].as_str().unwrap_or_else(|| panic!("no instance: {made}")).to_owned()
}

pub fn installed_message(stand: &Direct, id: &str) -> Message {
    let data = json!({ "appId": stand.wix.app.app_id, "originInstanceId": "" });
    Message::new("AppInstalled", id, &data).at(now() - 100)
}

/// An instance that the Worker was told of.
pub fn known(stand: &Direct) -> String {
    let id = at_wix(stand);
    let message = installed_message(stand, &id).sign();
    stand.settled(&stand.ask(NOW, "POST", "/webhook").body(message).send().expect(200));
    id
}

/// The same with a refresh token.
fn custom(stand: &Direct) -> String {
    let id = known(stand);
    stand.settled(&callback(stand, &id).ask.send().expect(302));
    id
}

/// A Wix that rotates would do so for all.
fn rotate(stand: &Direct, is_on: bool) {
    stand.wix.switch(&json!({ "rotate_refresh_tokens": is_on }));
}

/// A redirect that would succeed.
pub fn callback(stand: &Direct, id: &str) -> Case {
    let mut jar = Jar::default();
    let flow = Flow::begin_at(stand.url(), &mut jar, None);
    let code = stand.wix.code(id);
    let mut url = Url::parse(stand.url()).expect("a URL").join("/redirect").expect("a path");
    let pairs = [("code", code.as_str()), ("instanceId", id), ("state", &flow.state)];
    url.query_pairs_mut().extend_pairs(pairs);
    Case { id: id.to_owned(), ask: jar.ask(url), secrets: vec![code, flow.state.clone(), jar.0[0].1.clone()] }
}

fn case(id: String, ask: Ask) -> Case {
    Case { id, ask, secrets: Vec::new() }
}

fn of_message(stand: &Direct, id: String, message: &Message) -> Case {
    let message = message.sign();
    Case { id, ask: stand.ask(NOW, "POST", "/webhook").body(message.clone()), secrets: vec![message] }
}

fn plain(stand: &Direct, path: &str) -> Case {
    case(known(stand), stand.ask(NOW, "GET", path))
}

/// A call of the app API for an instance, ten minutes later.
fn call(stand: &Direct, id: String, method: &str, path: &str, body: Option<&Value>) -> Case {
    let ask = stand.api(LATER, method, &format!("/v1/instances/{id}{path}"));
    case(id, body.into_iter().fold(ask, Ask::json))
}

fn webhook_installed(stand: &Direct) -> Case {
    let id = at_wix(stand);
    let message = installed_message(stand, &id);
    of_message(stand, id, &message)
}

fn webhook_removed(stand: &Direct) -> Case {
    let id = custom(stand);
    let data = json!({ "appId": stand.wix.app.app_id });
    // Later than the redirect of this second.
    let message = Message::new("AppRemoved", &id, &data).at(now() + 2);
    stand.wix.post(&format!("/_sim/instances/{id}/remove"), &json!({}));
    of_message(stand, id, &message)
}

fn webhook_plan(stand: &Direct) -> Case {
    let id = known(stand);
    let message = Message::new("PaidPlanPurchased", &id, &json!({ "vendorProductId": "gold" }));
    of_message(stand, id, &message)
}

fn webhook_other(stand: &Direct) -> Case {
    let id = at_wix(stand);
    let message = Message::new("wix.some.v1.event", &id, &json!({}));
    of_message(stand, id, &message)
}

fn webhook_again(stand: &Direct) -> Case {
    let id = known(stand);
    let message = installed_message(stand, &id);
    stand.settled(&stand.ask(NOW, "POST", "/webhook").body(message.sign()).send().expect(200));
    of_message(stand, id, &message)
}

/// The webhook has come already: it leaves Wix at the same moment.
fn redirect(stand: &Direct) -> Case {
    callback(stand, &known(stand))
}

/// The webhook has not come yet.
fn redirect_alone(stand: &Direct) -> Case {
    callback(stand, &at_wix(stand))
}

fn connected(stand: &Direct) -> Case {
    let id = at_wix(stand);
    let mut jar = Jar::default();
    let installer = jar.get(format!("{}/connect", stand.url())).expect(302).location();
    let mut url = Url::parse(&parameter(&installer, "postInstallationUrl")).expect("a URL");
    let signed = stand.wix.post("/_sim/signed-instance", &json!({ "instance_id": id }));
    let signed = signed["instance"].as_str().expect("a signed instance").to_owned();
    url.query_pairs_mut().append_pair("instanceId", &id).append_pair("signedInstance", &signed);
    let secrets = vec![signed, parameter(&url, "state"), jar.0[0].1.clone()];
    Case { id, ask: jar.ask(url), secrets }
}

fn token_oauth(stand: &Direct) -> Case {
    call(stand, known(stand), "POST", "/token", None)
}

fn token_custom(stand: &Direct) -> Case {
    call(stand, custom(stand), "POST", "/token", None)
}

fn token_rotated(stand: &Direct) -> Case {
    rotate(stand, true);
    token_custom(stand)
}

fn token_healed(stand: &Direct) -> Case {
    let id = custom(stand);
    stand.wix.expire(&id, true);
    call(stand, id, "POST", "/token", None)
}

fn token_refused(stand: &Direct) -> Case {
    let id = known(stand);
    stand.wix.post(&format!("/_sim/instances/{id}/remove"), &json!({}));
    call(stand, id, "POST", "/token", None)
}

fn token_accepted(stand: &Direct) -> Case {
    let id = known(stand);
    stand.wix.refuses(&id, "oauth2_token", 2, 400);
    stand.token(NOW, &id).expect(409);
    call(stand, id, "POST", "/token", None)
}

fn finish(stand: &Direct) -> Case {
    call(stand, known(stand), "POST", "/finish-configuration", None)
}

fn bi_events(stand: &Direct) -> Case {
    call(stand, known(stand), "POST", "/bi-events", Some(&json!({ "event_name": "PRIMARY_ACTION_PERFORMED" })))
}

fn proxy(stand: &Direct) -> Case {
    call(stand, known(stand), "GET", "/wix/echo/v1/this", None)
}

fn proxy_dead(stand: &Direct) -> Case {
    let id = known(stand);
    stand.token(LATER, &id).expect(200);
    stand.wix.expire(&id, false);
    call(stand, id, "GET", "/wix/echo/v1/this", None)
}

fn list(stand: &Direct) -> Case {
    case(known(stand), stand.api(LATER, "GET", "/v1/instances"))
}

fn get_instance(stand: &Direct) -> Case {
    call(stand, known(stand), "GET", "", None)
}

fn identity(stand: &Direct) -> Case {
    let id = known(stand);
    let token = stand.token(NOW, &id).expect(200).json()["access_token"].as_str().expect("a token").to_owned();
    let ask = stand.api(NOW, "POST", "/v1/identity").json(&json!({ "access_token": token }));
    Case { id, ask, secrets: vec![token] }
}

fn cron(stand: &Direct) -> Case {
    case(known(stand), stand.cron(LATER))
}

/// The event was not taken when the app was installed.
fn cron_finish(stand: &Direct) -> Case {
    let id = at_wix(stand);
    stand.wix.fails(&id, "bi_event", 1, 403);
    let message = installed_message(stand, &id).sign();
    stand.settled(&stand.ask(NOW, "POST", "/webhook").body(message).send().expect(200));
    case(id, stand.cron(LATER))
}

/// What may stand nowhere, whatever the case.
pub fn secrets(stand: &Direct) -> Vec<String> {
    vec![API_KEY.to_owned(), stand.wix.app.app_secret.clone(), "OAUTH2.".to_owned(), "OauthNG.".to_owned()]
}

/// What every case begins with.
pub fn begin(stand: &Direct) {
    rotate(stand, false);
}

/// What a stand is set to once.
pub fn set_up(stand: &Direct) {
    // The webhooks are the cases' own.
    stand.wix.switch(&json!({ "webhook_drop": true, "echo_other_paths": true }));
    get(stand.wix.at("/_sim/state")).expect(200);
    ask("GET", format!("{}/readyz", stand.url())).send().expect(200);
}
