//! Fuzz targets for whole requests: no input causes an internal error, and none gets access without a key or a proof.

use http::Method;
use serde_json::{Value, json};
use url::Url;

use super::stub::{CURSOR, HERE, Inbound, NOW, Stub};
use super::values::token;
use super::{API_KEYS, APP_ID, APP_SECRET, INSTANCE, SEALING_KEY, configured, poll_once};
use crate::crypto::state::{self, Purpose};
use crate::crypto::{SealingKey, StateKey};
use crate::web::{Body, Reply, Request};
use crate::{Shared, handle, scheduled};

const ORIGIN: &str = "https://app.example";
/// See [`API_KEYS`].
const KEY: &str = "Bearer k";

/// Sends a request to a new isolate, runs its deferred task, and checks the properties of every response.
fn send(stub: &Stub, method: &Method, url: &Url, inbound: Inbound) -> Reply<Vec<u8>> {
    let shared = Shared::new(configured(&[]));
    let request = Request::new(method.clone(), url.to_string(), inbound);
    let answered = poll_once(handle(stub.clone(), &shared, request));
    if let Some(task) = answered.follow_up {
        poll_once(task.run());
    }
    let reply = answered.reply;
    assert_ne!(reply.status, 500, "an internal error: {}", stub.log_text());
    assert!(header(&reply, "x-request-id").is_some(), "the response must have a request id");
    let plain = reply.headers.iter().all(|(_, value)| value.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
    assert!(plain, "a header must be printable ASCII");
    for secret in [APP_SECRET, SEALING_KEY, API_KEYS] {
        assert!(
            !text(&reply).contains(secret) && !stub.log_text().contains(secret),
            "a secret is in the response or the log"
        );
    }
    if let Some(location) = header(&reply, "location") {
        // A flow that began at another origin begins again, and an external one ends with a page of the Worker.
        let own = ["/install", "/connect", "/connected/done"].map(|path| format!("{ORIGIN}{path}"));
        let is_own = |own: &String| {
            location
                .strip_prefix(own.as_str())
                .is_some_and(|end| end.is_empty() || end.starts_with("?ref=") || end == "?again")
        };
        let is_expected = location.starts_with("https://www.wix.com/") || own.iter().any(is_own);
        assert!(is_expected, "a redirect must lead to Wix or to a page of the flow: {location}");
    }
    reply
}

/// The body, if the core wrote it.
fn text(reply: &Reply<Vec<u8>>) -> &str {
    match &reply.body {
        Body::Text(text) => text,
        Body::Empty | Body::Stream(_) => "",
    }
}

fn header<'a>(reply: &'a Reply<Vec<u8>>, name: &str) -> Option<&'a str> {
    reply.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_ref())
}

/// A URL of the Worker. `None` for a text that is not a path, since it could become part of the host, which the runtime
/// provides.
fn url(path: &str) -> Option<Url> {
    if !path.starts_with('/') {
        return None;
    }
    Url::parse(&format!("{ORIGIN}{path}")).ok().filter(|url| url.host_str() == Some("app.example"))
}

fn headers(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn call(stub: &Stub, method: &Method, path: &str) -> Option<Reply<Vec<u8>>> {
    let inbound = Inbound { headers: headers(&[("authorization", KEY)]), body: Vec::new() };
    url(path).map(|url| send(stub, method, &url, inbound))
}

/// A request as HTTP/1.1 writes it: `METHOD /path?query`, headers, an empty line, a body.
pub fn request(data: &[u8]) {
    let split = data.windows(2).position(|pair| pair == b"\n\n");
    let (head, body) = split.and_then(|at| data.split_at_checked(at)).unwrap_or((data, b""));
    let Ok(head) = std::str::from_utf8(head) else { return };
    let mut lines = head.lines();
    let Some((method, path)) = lines.next().and_then(|line| line.split_once(' ')) else { return };
    let (Ok(method), Some(url)) = (Method::from_bytes(method.as_bytes()), url(path)) else { return };
    let fields = lines.filter_map(|line| line.split_once(':'));
    let fields: Vec<_> = fields.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
    let knows_a_key = fields.iter().any(|(name, value)| name == "authorization" && value.ends_with('k'));
    for genuine in [false, true] {
        let inbound = Inbound { headers: fields.clone(), body: body.get(2..).unwrap_or_default().to_vec() };
        let reply = send(&Stub::new(genuine), &method, &url, inbound);
        let allowed = !url.path().starts_with("/v1") || knows_a_key;
        assert!(allowed || !reply.status.is_success(), "the API answers a client without a key");
        let forged = !genuine && (url.path() == "/webhook" || url.path().starts_with("/plugins/"));
        assert!(!(forged && reply.status.is_success()), "a forged message is accepted");
    }
}

/// The claims of a service plugin call: the stub checks what is forwarded, and a forged call never is.
pub fn plugin_call(data: &[u8]) {
    let Some(url) = url("/plugins/v1/rates") else { return };
    for genuine in [false, true] {
        let inbound = Inbound { headers: Vec::new(), body: token(data).into_bytes() };
        let reply = send(&Stub::new(genuine), &Method::POST, &url, inbound);
        assert!(genuine || !reply.status.is_success(), "a forged call is forwarded");
        let body: Value = serde_json::from_str(text(&reply)).unwrap_or_default();
        let has_code = body.pointer("/applicationError/code").is_some_and(Value::is_string);
        assert_eq!(has_code, !reply.status.is_success(), "a refusal must have a code");
    }
}

/// The query of a listing: only a limit and a cursor that KV accepts reach KV.
pub fn list(data: &[u8]) {
    let Ok(query) = std::str::from_utf8(data) else { return };
    let row = json!({"instance_id": INSTANCE, "status": "installed", "auth": "oauth"}).to_string();
    let stub = Stub::new(false).listing(INSTANCE, &row);
    let Some(reply) = call(&stub, &Method::GET, &format!("/v1/instances?{query}")) else { return };
    let page: Value = serde_json::from_str(text(&reply)).unwrap_or_default();
    match reply.status.as_u16() {
        200 => {
            let instances = page.get("instances").and_then(Value::as_array);
            assert!(
                instances.is_some_and(|instances| instances.len() <= 1),
                "the list must have at most the one instance in KV"
            );
            let next = page.get("next_cursor").and_then(Value::as_str);
            assert!(next.is_none_or(|next| next == CURSOR), "the cursor must be the one from KV");
        }
        400 | 404 => assert!(page.get("code").is_some_and(Value::is_string), "an error must be a problem document"),
        status => assert_eq!(status, 200),
    }
}

/// An event: the whole envelope in JSON, or type, instance id and inner data on three lines.
pub fn webhook(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let envelope = if text.starts_with('{') {
        text.to_owned()
    } else {
        let mut lines = text.splitn(3, '\n');
        let mut line = || lines.next().unwrap_or_default();
        json!({"eventType": line(), "instanceId": line(), "data": line()}).to_string()
    };
    for genuine in [false, true] {
        let expected: &[u16] = if genuine { &[200, 400] } else { &[401] };
        let status = deliver(&Stub::new(genuine), &envelope);
        assert!(status.is_none_or(|status| expected.contains(&status) || status == 413), "{status:?}");
    }
}

fn deliver(stub: &Stub, envelope: &str) -> Option<u16> {
    let message = token(json!({"data": envelope, "iat": NOW.0}).to_string().as_bytes());
    let inbound = Inbound { headers: Vec::new(), body: message.into_bytes() };
    url("/webhook").map(|url| send(stub, &Method::POST, &url, inbound).status.as_u16())
}

/// The response of Wix to every request: the first byte selects the status, the rest is the body.
pub fn wix_answer(data: &[u8]) {
    let Some((first, body)) = data.split_first() else { return };
    let statuses = [200, 200, 200, 201, 204, 301, 400, 401, 404, 408, 429, 500, 503];
    let Some(status) = statuses.get(usize::from(*first) % statuses.len()).copied() else { return };
    let row = json!({"instance_id": INSTANCE, "status": "installed", "auth": "oauth", "facts": []}).to_string();

    let stub = Stub::new(false).holding(&row).responding(status, body);
    if let Some(reply) = call(&stub, &Method::POST, &format!("/v1/instances/{INSTANCE}/token")) {
        let status = reply.status.as_u16();
        assert!([200, 409, 502, 504].contains(&status), "{status}");
        if status == 200 {
            let response: Value = serde_json::from_str(text(&reply)).unwrap_or_default();
            let token = response.get("access_token").and_then(Value::as_str).unwrap_or_default();
            assert!(
                !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic()),
                "the token must be printable ASCII"
            );
            assert!(
                response.get("expires_at").and_then(Value::as_u64) >= Some(NOW.0),
                "the token must have an end in the future"
            );
        }
    }

    let Ok(key) = SealingKey::parse(SEALING_KEY) else { return };
    let stub = Stub::new(false).responding(status, body);
    let Ok(issued) = state::issue(&stub, &[StateKey::derive(&key)], Purpose::Install, NOW, HERE, None) else { return };
    let cookie = issued.set_cookie.split(';').next().unwrap_or_default();
    let inbound = Inbound { headers: headers(&[("cookie", cookie)]), body: Vec::new() };
    let Some(url) = url(&format!("/redirect?code=c&state={}&instanceId={INSTANCE}", issued.state)) else { return };
    let reply = send(&stub, &Method::GET, &url, inbound);
    if reply.status == 302 {
        let info: Value = serde_json::from_slice(body).unwrap_or_default();
        let names = |field: &str, id: &str| {
            info.get(field).and_then(Value::as_str).is_some_and(|value| value.eq_ignore_ascii_case(id))
        };
        let active = info.get("active").is_some_and(|active| *active == json!(true) || *active == json!("true"));
        assert!(active && names("clientId", APP_ID) && names("instanceId", INSTANCE), "an installation without proof");
    }
}

/// The contents of KV: the first line is the value of every key, the second the end of the one key in every listing,
/// the rest its metadata.
pub fn records(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut lines = text.splitn(3, '\n');
    let mut line = || lines.next().unwrap_or_default();
    let (value, rest, metadata) = (line(), line(), line());
    if rest.len() > 400 || metadata.len() > 1024 {
        return;
    }
    let response = json!({"access_token": "t", "refresh_token": "r"}).to_string();
    for genuine in [false, true] {
        let stub = Stub::new(genuine).holding(value).listing(rest, metadata).responding(200, response.as_bytes());
        let paths = ["/v1/instances".to_owned(), format!("/v1/instances/{INSTANCE}")];
        for path in paths {
            call(&stub, &Method::GET, &path);
        }
        for action in ["token", "finish-configuration"] {
            call(&stub, &Method::POST, &format!("/v1/instances/{INSTANCE}/{action}"));
        }
        for event in ["AppInstalled", "AppRemoved", "SiteRenamed"] {
            let inner = json!({"appId": APP_ID}).to_string();
            deliver(&stub, &json!({"eventType": event, "instanceId": INSTANCE, "data": inner}).to_string());
        }
        poll_once(scheduled(stub, &Shared::new(configured(&[]))));
    }
}
