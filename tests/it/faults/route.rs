//! The routes: for each, the preparation, the request, and the status and final state without faults.

use serde_json::{Value, json};
use url::Url;

use crate::harness::{API_KEY, Flow, IN_10_MINUTES, Jar, Message, NOW, Request, Testbed, get, now, parameter, request};

/// A route of the tables.
pub struct Route {
    pub name: &'static str,
    /// Whether `FINISH_CONFIGURATION` is `on-install`.
    pub on_install: bool,
    pub prepare: fn(&Testbed) -> Case,
    /// The status without faults.
    pub good: u16,
    /// The final state without faults: the instance, and the source of its next token in another isolate.
    pub end: &'static str,
}

impl Route {
    /// Whether the request has facts that must be stored. The other routes store only what the next request can find again.
    pub fn lasts(&self) -> bool {
        ["webhook", "redirect", "connected", "cron"].iter().any(|subject| self.name.starts_with(subject))
    }
}

/// One request, about its own instance.
pub struct Case {
    pub id: String,
    pub request: Request,
    /// Values that neither the log nor an error response may contain.
    pub secrets: Vec<String>,
}

pub const fn route(name: &'static str, prepare: fn(&Testbed) -> Case, good: u16, end: &'static str) -> Route {
    Route { name, on_install: false, prepare, good, end }
}

const fn on_install(name: &'static str, prepare: fn(&Testbed) -> Case, good: u16, end: &'static str) -> Route {
    Route { name, on_install: true, prepare, good, end }
}

pub static ROUTES: [Route; 34] = [
    route("webhook installed", webhook_installed, 200, "installed oauth, client_credentials"),
    route("webhook removed", webhook_removed, 200, "removed oauth, 410"),
    route("webhook plan", webhook_plan, 200, "installed oauth gold, client_credentials"),
    route("webhook of an unknown instance", webhook_other, 200, "pending oauth, client_credentials"),
    route("webhook that came before", webhook_again, 200, "installed oauth, client_credentials"),
    route("plugin call", plugin_call, 200, "installed oauth, client_credentials"),
    route("plugin call of an unknown instance", plugin_call_unknown, 200, "pending oauth, client_credentials"),
    on_install("webhook installed, on-install", webhook_installed, 200, "installed oauth configured, kept, 1 event"),
    route("redirect", redirect, 302, "installed custom, refresh_token"),
    on_install("redirect, on-install", redirect_alone, 302, "installed custom configured, refresh_token, 1 event"),
    route("redirect with a ref", redirect_with_ref, 302, "installed custom ref, refresh_token"),
    route("connected", connected, 302, "installed oauth, client_credentials"),
    route("connected with a ref", connected_with_ref, 302, "installed oauth ref, client_credentials"),
    route("handoff", handoff, 200, "installed oauth ref, client_credentials"),
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
    route("readyz", |bed| plain(bed, "/readyz"), 200, "installed oauth, client_credentials"),
    route("healthz", |bed| plain(bed, "/healthz"), 200, "installed oauth, client_credentials"),
    route("home", |bed| plain(bed, "/"), 200, "installed oauth, client_credentials"),
    route("install", |bed| plain(bed, "/install"), 302, "installed oauth, client_credentials"),
    route("connect", |bed| plain(bed, "/connect"), 302, "installed oauth, client_credentials"),
];

/// Installs the app at Wix without a webhook: the Worker does not know the instance.
pub fn at_wix(bed: &Testbed) -> String {
    let made = bed.wix.post("/_sim/installs", &json!({}));
    made["instance"]["instance_id"].as_str().unwrap_or_else(|| panic!("instance is missing: {made}")).to_owned()
}

pub fn installed_message(bed: &Testbed, id: &str) -> Message {
    let data = json!({ "appId": bed.wix.app.app_id, "originInstanceId": "" });
    Message::new("AppInstalled", id, &data).at(now() - 100)
}

/// An instance that the Worker knows from a webhook.
pub fn known(bed: &Testbed) -> String {
    let id = at_wix(bed);
    let message = installed_message(bed, &id).sign();
    bed.wait_for_tasks(&bed.request(NOW, "POST", "/webhook").body(message).send().expect(200));
    id
}

/// An instance with a refresh token.
pub fn custom(bed: &Testbed) -> String {
    let id = known(bed);
    bed.wait_for_tasks(&callback(bed, &id).request.send().expect(302));
    id
}

/// Sets the switch that rotates refresh tokens, for all instances.
fn rotate(bed: &Testbed, is_on: bool) {
    bed.wix.switch(&json!({ "rotate_refresh_tokens": is_on }));
}

/// A valid callback.
pub fn callback(bed: &Testbed, id: &str) -> Case {
    callback_of(bed, id, "")
}

/// The same of a flow that began with a query.
fn callback_of(bed: &Testbed, id: &str, query: &str) -> Case {
    let mut jar = Jar::default();
    let installer = jar.get(format!("{}/install{query}", bed.url())).expect(302).location();
    let flow = Flow { state: parameter(&installer, "state"), installer };
    let code = bed.wix.code(id);
    let url = Flow::callback(bed.url(), &code, id, &flow.state);
    Case { id: id.to_owned(), request: jar.request(url), secrets: vec![code, flow.state.clone(), jar.0[0].1.clone()] }
}

pub fn case(id: String, request: Request) -> Case {
    Case { id, request, secrets: Vec::new() }
}

pub fn of_message(bed: &Testbed, id: String, message: &Message) -> Case {
    let message = message.sign();
    Case { id, request: bed.request(NOW, "POST", "/webhook").body(message.clone()), secrets: vec![message] }
}

fn plain(bed: &Testbed, path: &str) -> Case {
    case(known(bed), bed.request(NOW, "GET", path))
}

/// A request to the app API for an instance, ten minutes later.
pub fn call(bed: &Testbed, id: String, method: &str, path: &str, body: Option<&Value>) -> Case {
    let request = bed.api(IN_10_MINUTES, method, &format!("/v1/instances/{id}{path}"));
    case(id, body.into_iter().fold(request, Request::json))
}

pub fn webhook_installed(bed: &Testbed) -> Case {
    let id = at_wix(bed);
    let message = installed_message(bed, &id);
    of_message(bed, id, &message)
}

pub fn webhook_removed(bed: &Testbed) -> Case {
    let id = custom(bed);
    let data = json!({ "appId": bed.wix.app.app_id });
    // Later than the redirect, which may have the same second.
    let message = Message::new("AppRemoved", &id, &data).at(now() + 2);
    bed.wix.post(&format!("/_sim/instances/{id}/remove"), &json!({}));
    of_message(bed, id, &message)
}

pub fn webhook_plan(bed: &Testbed) -> Case {
    let id = known(bed);
    // Wix is asked what the site has, and must say the same.
    bed.wix.post(&format!("/_sim/instances/{id}/plan"), &json!({ "vendor_product_id": "gold" }));
    let message = Message::new("PaidPlanPurchased", &id, &json!({ "vendorProductId": "gold" }));
    of_message(bed, id, &message)
}

fn webhook_other(bed: &Testbed) -> Case {
    let id = at_wix(bed);
    let message = Message::new("wix.some.v1.event", &id, &json!({}));
    of_message(bed, id, &message)
}

pub fn webhook_again(bed: &Testbed) -> Case {
    let id = known(bed);
    let message = installed_message(bed, &id);
    bed.wait_for_tasks(&bed.request(NOW, "POST", "/webhook").body(message.sign()).send().expect(200));
    of_message(bed, id, &message)
}

/// The redirect after the webhook.
fn redirect(bed: &Testbed) -> Case {
    callback(bed, &known(bed))
}

/// The redirect without the webhook.
pub fn redirect_alone(bed: &Testbed) -> Case {
    callback(bed, &at_wix(bed))
}

/// A redirect of a flow with a `ref` that is too long for metadata.
fn redirect_with_ref(bed: &Testbed) -> Case {
    callback_of(bed, &known(bed), &format!("?ref={}", "%F0%9F%98%80".repeat(300)))
}

pub fn connected(bed: &Testbed) -> Case {
    connected_of(bed, "")
}

pub fn connected_with_ref(bed: &Testbed) -> Case {
    connected_of(bed, "?ref=7")
}

/// The value that a browser brought from a flow with a `ref`.
pub fn handoff(bed: &Testbed) -> Case {
    let Case { id, request, .. } = connected_with_ref(bed);
    let response = request.send().expect(302);
    bed.wait_for_tasks(&response);
    let handoff = parameter(&response.location(), "handoff");
    let request = bed.api(NOW, "POST", "/v1/handoffs").header("idempotency-key", "the-session");
    let request = request.json(&json!({ "handoff": handoff }));
    Case { id, request, secrets: vec![handoff] }
}

fn connected_of(bed: &Testbed, query: &str) -> Case {
    let id = at_wix(bed);
    let mut jar = Jar::default();
    let installer = jar.get(format!("{}/connect{query}", bed.url())).expect(302).location();
    let mut url = Url::parse(&parameter(&installer, "postInstallationUrl")).expect("a URL");
    let signed = bed.wix.post("/_sim/signed-instance", &json!({ "instance_id": id }));
    let signed = signed["instance"].as_str().expect("a signed instance").to_owned();
    url.query_pairs_mut().append_pair("instanceId", &id).append_pair("signedInstance", &signed);
    let secrets = vec![signed, parameter(&url, "state"), jar.0[0].1.clone()];
    Case { id, request: jar.request(url), secrets }
}

fn plugin_call(bed: &Testbed) -> Case {
    plugin_call_of(bed, known(bed))
}

fn plugin_call_unknown(bed: &Testbed) -> Case {
    plugin_call_of(bed, at_wix(bed))
}

fn plugin_call_of(bed: &Testbed, id: String) -> Case {
    let body = Message::plugin_call(&bed.wix, &id, 600).sign();
    let secrets = vec![body.clone(), "lineItems".to_owned()];
    Case { request: bed.request(NOW, "POST", "/plugins/v1/getRates").body(body), id, secrets }
}

fn token_oauth(bed: &Testbed) -> Case {
    call(bed, known(bed), "POST", "/token", None)
}

fn token_custom(bed: &Testbed) -> Case {
    call(bed, custom(bed), "POST", "/token", None)
}

fn token_rotated(bed: &Testbed) -> Case {
    rotate(bed, true);
    token_custom(bed)
}

fn token_healed(bed: &Testbed) -> Case {
    let id = custom(bed);
    bed.wix.revoke_tokens(&id, true);
    call(bed, id, "POST", "/token", None)
}

pub fn token_refused(bed: &Testbed) -> Case {
    let id = known(bed);
    bed.wix.post(&format!("/_sim/instances/{id}/remove"), &json!({}));
    call(bed, id, "POST", "/token", None)
}

fn token_accepted(bed: &Testbed) -> Case {
    let id = known(bed);
    bed.wix.refuse_with(&id, "oauth2_token", 2, 400);
    bed.token(NOW, &id).expect(409);
    call(bed, id, "POST", "/token", None)
}

fn finish(bed: &Testbed) -> Case {
    call(bed, known(bed), "POST", "/finish-configuration", None)
}

fn bi_events(bed: &Testbed) -> Case {
    call(bed, known(bed), "POST", "/bi-events", Some(&json!({ "event_name": "PRIMARY_ACTION_PERFORMED" })))
}

fn proxy(bed: &Testbed) -> Case {
    call(bed, known(bed), "GET", "/wix/echo/v1/this", None)
}

fn proxy_dead(bed: &Testbed) -> Case {
    let id = known(bed);
    bed.token(IN_10_MINUTES, &id).expect(200);
    bed.wix.revoke_tokens(&id, false);
    call(bed, id, "GET", "/wix/echo/v1/this", None)
}

fn list(bed: &Testbed) -> Case {
    case(known(bed), bed.api(IN_10_MINUTES, "GET", "/v1/instances"))
}

fn get_instance(bed: &Testbed) -> Case {
    call(bed, known(bed), "GET", "", None)
}

fn identity(bed: &Testbed) -> Case {
    let id = known(bed);
    let token = bed.token(NOW, &id).expect(200).json()["access_token"].as_str().expect("a token").to_owned();
    let request = bed.api(NOW, "POST", "/v1/identity").json(&json!({ "access_token": token }));
    Case { id, request, secrets: vec![token] }
}

fn cron(bed: &Testbed) -> Case {
    case(known(bed), bed.cron(IN_10_MINUTES))
}

/// An installation whose event Wix refused, so that the Cron Trigger must send it.
fn cron_finish(bed: &Testbed) -> Case {
    let id = at_wix(bed);
    bed.wix.fail_with(&id, "bi_event", 1, 403);
    let message = installed_message(bed, &id).sign();
    bed.wait_for_tasks(&bed.request(NOW, "POST", "/webhook").body(message).send().expect(200));
    case(id, bed.cron(IN_10_MINUTES))
}

/// Values that neither the log nor an error response may contain in any case.
pub fn secrets(bed: &Testbed) -> Vec<String> {
    vec![API_KEY.to_owned(), bed.wix.app.app_secret.clone(), "OAUTH2.".to_owned(), "OauthNG.".to_owned()]
}

/// Prepares the test bed for a case.
pub fn begin(bed: &Testbed) {
    if let Some(receiver) = &bed.receiver {
        receiver.clear();
    }
    rotate(bed, false);
}

/// Sets up a test bed.
pub fn set_up(bed: &Testbed) {
    // The cases sign their own webhooks.
    bed.wix.switch(&json!({ "webhook_drop": true, "echo_other_paths": true }));
    get(bed.wix.at("/_sim/state")).expect(200);
    request("GET", format!("{}/readyz", bed.url())).send().expect(200);
}
