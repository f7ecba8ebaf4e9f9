//! The test bench: a simulator, an HTTP client that follows no redirects, and an app that receives webhooks.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use reqwest::{Client, Response};
use serde_json::{Value, json};
use tokio::sync::Notify;
use wix_sim::{AppCredentials, Settings, Sim};

pub const SECRET: &str = "99999999-8888-4777-8666-555555555555";
pub const REDIRECT: &str = "http://127.0.0.1:9/redirect?mine=1";
pub const FORM: &str = "application/x-www-form-urlencoded";

pub struct Bench {
    sim: Sim,
    pub client: Client,
    pub app: AppCredentials,
}

impl Bench {
    pub async fn new() -> Self {
        Self::with(Settings::default()).await
    }

    pub async fn with(settings: Settings) -> Self {
        let settings = Settings {
            app_secret: Some(SECRET.to_owned()),
            app_url: Some("http://127.0.0.1:9/install".to_owned()),
            redirect_urls: vec![REDIRECT.to_owned()],
            ..settings
        };
        let sim = Sim::start(settings).await.unwrap();
        let client = Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap();
        Self { app: sim.app(), sim, client }
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.sim.url())
    }

    pub async fn get(&self, path: &str) -> Response {
        self.client.get(self.url(path)).send().await.unwrap()
    }

    pub async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        read(self.client.post(self.url(path)).json(&body).send().await.unwrap()).await
    }

    /// Sends a control request, which must succeed.
    pub async fn control(&self, path: &str, body: Value) -> Value {
        let (status, response) = self.post(&format!("/_sim/{path}"), body).await;
        assert_eq!(status, 200, "{path}: {response}");
        response
    }

    pub async fn switch(&self, patch: Value) {
        let response = self.client.patch(self.url("/_sim/switches")).json(&patch).send().await.unwrap();
        assert_eq!(response.status(), 200, "{}", response.text().await.unwrap());
    }

    pub async fn state(&self) -> Value {
        self.get("/_sim/state").await.json().await.unwrap()
    }

    /// Installs the app on a new site, and returns the instance id.
    pub async fn install(&self) -> String {
        text(&self.control("installs", json!({})).await["instance"]["instance_id"])
    }

    pub fn credentials(&self, instance_id: &str) -> Value {
        json!({
            "grant_type": "client_credentials",
            "client_id": self.app.app_id,
            "client_secret": SECRET,
            "instance_id": instance_id,
        })
    }

    /// Requests a client-credentials token.
    pub async fn token(&self, instance_id: &str) -> String {
        let (status, response) = self.post("/oauth2/token", self.credentials(instance_id)).await;
        assert_eq!(status, 200, "{response}");
        text(&response["access_token"])
    }

    pub async fn with_token(&self, path: &str, token: &str) -> (u16, Value) {
        read(self.client.get(self.url(path)).header("authorization", token).send().await.unwrap()).await
    }

    /// Exchanges a code of custom authentication.
    pub async fn exchange(&self, code: &str) -> (u16, Value) {
        let body = json!({
            "grant_type": "authorization_code",
            "client_id": self.app.app_id,
            "client_secret": SECRET,
            "code": code,
        });
        self.post("/oauth/access", body).await
    }
}

pub async fn read(response: Response) -> (u16, Value) {
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("must be a string: {value}")).to_owned()
}

/// The target of a redirect.
pub fn location(response: &Response) -> reqwest::Url {
    assert_eq!(response.status(), 302);
    response.headers()["location"].to_str().unwrap().parse().unwrap()
}

pub fn parameter(url: &reqwest::Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
}

/// A received webhook.
#[derive(Clone, Debug)]
pub struct Received {
    pub content_type: Option<String>,
    pub body: String,
}

#[derive(Default)]
struct Inbox {
    received: Mutex<Vec<Received>>,
    /// The next responses: a status after a pause. When the script is empty, 200.
    script: Mutex<VecDeque<(u16, Duration)>>,
    arrived: Notify,
}

/// An app that receives webhooks.
pub struct Hook {
    inbox: Arc<Inbox>,
    pub url: String,
}

impl Hook {
    pub async fn new(script: &[(u16, u64)]) -> Self {
        let inbox = Arc::new(Inbox::default());
        inbox.script.lock().unwrap().extend(script.iter().map(|(status, ms)| (*status, Duration::from_millis(*ms))));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/webhook", listener.local_addr().unwrap());
        let app = Router::new().fallback(receive).with_state(inbox.clone());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { inbox, url }
    }

    pub fn received(&self) -> Vec<Received> {
        self.inbox.received.lock().unwrap().clone()
    }

    /// Waits until `count` webhooks have arrived.
    pub async fn wait_for(&self, count: usize) -> Vec<Received> {
        let all = async {
            loop {
                let arrived = self.inbox.arrived.notified();
                if self.received().len() >= count {
                    return;
                }
                arrived.await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), all)
            .await
            .unwrap_or_else(|_| panic!("only {} of {count} webhooks arrived", self.received().len()));
        self.received()
    }
}

async fn receive(State(inbox): State<Arc<Inbox>>, request: Request) -> StatusCode {
    let content_type = request.headers().get("content-type").map(|value| value.to_str().unwrap().to_owned());
    let body = axum::body::to_bytes(request.into_body(), usize::MAX).await.unwrap();
    let body = String::from_utf8(body.to_vec()).unwrap();
    let next = inbox.script.lock().unwrap().pop_front();
    inbox.received.lock().unwrap().push(Received { content_type, body });
    inbox.arrived.notify_waiters();
    let (status, pause) = next.unwrap_or((200, Duration::ZERO));
    tokio::time::sleep(pause).await;
    StatusCode::from_u16(status).unwrap()
}
