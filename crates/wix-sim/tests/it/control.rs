//! The control API: access, refusals, secrets, settings, the page.

use serde_json::{Value, json};
use wix_sim::{Settings, Sim};

use crate::bench::{Bench, SECRET, read, text};

#[tokio::test]
async fn a_foreign_origin_and_a_rebound_host_are_refused() {
    let bench = Bench::new().await;
    let own = bench.url("");
    let with_origin = async |path: &str, origin: &str| {
        let request = bench.client.post(bench.url(path)).header("origin", origin).json(&json!({}));
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(with_origin("/_sim/installs", "http://evil.example").await, 403);
    assert_eq!(with_origin("/_sim/installs", "null").await, 403);
    assert_eq!(with_origin("/installer/consent", "http://evil.example").await, 403);
    assert_eq!(with_origin("/_sim/installs", &own).await, 200);
    let response = bench.client.get(bench.url("/_sim/state")).header("host", "evil.example").send().await.unwrap();
    assert_eq!(response.status(), 403);
    let state = bench.state().await;
    assert_eq!(state["instances"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn urls_of_other_machines_are_refused() {
    let bench = Bench::new().await;
    for patch in [
        json!({"webhook_url": "http://example.com/"}),
        json!({"app_url": "https://example.com/"}),
        json!({"redirect_urls": ["http://127.0.0.1/", "http://10.1.2.3/"]}),
    ] {
        let response = bench.client.patch(bench.url("/_sim/app")).json(&patch).send().await.unwrap();
        let (status, body) = read(response).await;
        assert_eq!(status, 400, "{patch}");
        assert!(text(&body["error"]).contains("loopback"), "{body}");
    }
    for settings in [
        Settings { webhook_url: Some("http://example.com/".to_owned()), ..Settings::default() },
        Settings { app_records_url: Some("http://example.com/".to_owned()), ..Settings::default() },
        Settings { app_id: Some("my-app".to_owned()), ..Settings::default() },
        Settings { time_scale: 0.0, ..Settings::default() },
        Settings { private_key_pem: Some("no key".to_owned()), ..Settings::default() },
    ] {
        assert!(Sim::start(settings).await.is_err());
    }
}

#[tokio::test]
async fn the_apps_settings_can_be_changed_and_cleared() {
    let bench = Bench::new().await;
    let patch =
        async |body: Value| read(bench.client.patch(bench.url("/_sim/app")).json(&body).send().await.unwrap()).await;
    let (_, app) = patch(json!({"webhook_url": "http://localhost:1/w", "redirect_urls": []})).await;
    assert_eq!((&app["webhook_url"], &app["redirect_urls"]), (&json!("http://localhost:1/w"), &json!([])));
    assert_eq!(app["app_url"], "http://127.0.0.1:9/install");
    assert_eq!(patch(json!({"webhook_url": ""})).await.1["webhook_url"], Value::Null);
    assert_eq!(patch(json!({"webhook": ""})).await.0, 400);
    assert_eq!(app["public_key_pem"], bench.app.public_key_pem.as_str());
}

#[tokio::test]
async fn unknown_switches_routes_and_instances_and_malformed_bodies_are_refused() {
    let bench = Bench::new().await;
    let response = bench.client.patch(bench.url("/_sim/switches")).json(&json!({"no_such": 1})).send().await.unwrap();
    let (status, body) = read(response).await;
    assert_eq!(status, 400);
    assert!(text(&body["error"]).contains("no_such"), "{body}");
    let response = bench.client.post(bench.url("/_sim/installs")).body("{").send().await.unwrap();
    assert_eq!(response.status(), 400);
    assert_eq!(bench.get("/_sim/nothing").await.status(), 404);
    for path in ["remove", "reinstall", "clone", "update"] {
        assert_eq!(bench.post(&format!("/_sim/instances/x/{path}"), json!({})).await.0, 404, "{path}");
    }
}

#[tokio::test]
async fn secrets_and_tokens_are_never_shown() {
    let bench = Bench::new().await;
    let id = bench.install().await;
    let token = bench.token(&id).await;
    let code = text(&bench.control("codes", json!({"instance_id": id})).await["code"]);
    let (_, pair) = bench.exchange(&code).await;
    let pages = [bench.state().await.to_string(), bench.get("/").await.text().await.unwrap()];
    for page in pages {
        for secret in [SECRET, &token, &code, pair["refresh_token"].as_str().unwrap(), "PRIVATE KEY"] {
            assert!(!page.contains(secret), "{secret}");
        }
    }
}

#[tokio::test]
async fn a_reset_clears_installs_and_keeps_the_app() {
    let bench = Bench::new().await;
    bench.install().await;
    bench.switch(json!({"auto_approve": true})).await;
    bench.control("clock", json!({"advance_seconds": 100})).await;
    bench.control("reset", json!({"keep_switches": true})).await;
    let state = bench.state().await;
    assert_eq!((&state["instances"], &state["deliveries"]), (&json!([]), &json!([])));
    assert_eq!((&state["switches"]["auto_approve"], &state["clock_offset_seconds"]), (&json!(true), &json!(0)));
    assert_eq!(state["app"]["app_id"], bench.app.app_id.as_str());
    bench.control("reset", json!({})).await;
    assert_eq!(bench.state().await["switches"]["auto_approve"], false);
}

#[tokio::test]
async fn a_reset_restores_the_switches_of_the_command_line() {
    let bench = Bench::with(Settings { time_scale: 60.0, echo_other_paths: true, ..Settings::default() }).await;
    bench.switch(json!({"time_scale": 2, "echo_other_paths": false, "auto_approve": true})).await;
    bench.control("reset", json!({})).await;
    let switches = bench.state().await["switches"].clone();
    assert_eq!((&switches["time_scale"], &switches["echo_other_paths"]), (&json!(60.0), &json!(true)));
    assert_eq!(switches["auto_approve"], false);
}

#[tokio::test]
async fn an_inspection_reports_an_unreachable_app_url_and_violated_rules() {
    let bench = Bench::new().await;
    let (status, response) = bench.post("/_sim/inspect-app-url", json!({})).await;
    assert_eq!(status, 409, "nothing listens at the App URL");
    assert!(text(&response["error"]).contains("cannot be reached"), "{response}");
    let patch = json!({"app_url": bench.url("/")});
    bench.client.patch(bench.url("/_sim/app")).json(&patch).send().await.unwrap();
    let response = bench.control("inspect-app-url", json!({})).await;
    assert_eq!((&response["status"], &response["problems"][1]["rule"]), (&json!(200), &json!("target")));
}

#[tokio::test]
async fn tokens_can_be_revoked() {
    let bench = Bench::new().await;
    let id = bench.install().await;
    let token = bench.token(&id).await;
    assert_eq!(bench.control("tokens/expire", json!({"instance_id": id, "access": true})).await["ended"], 1);
    assert_eq!(bench.with_token("/apps/v1/instance", &token).await.0, 401);
}

#[tokio::test]
async fn the_page_loads_no_foreign_resource_and_shows_the_switches() {
    let bench = Bench::new().await;
    bench.install().await;
    let response = bench.get("/").await;
    let policy = response.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    let page = response.text().await.unwrap();
    assert!(page.contains("webhook_retry_schedule_seconds") && page.contains("Invented Shop 1"));
    assert!(!page.contains("https://") && !page.contains("<script>") && !page.contains("style="), "{page}");
    for file in ["/assets/sim.js", "/assets/sim.css", "/assets/close.js", "/?part=live"] {
        assert_eq!(bench.get(file).await.status(), 200, "{file}");
    }
}

#[tokio::test]
async fn the_page_shows_instance_ids_and_the_request_for_a_token() {
    let records =
        Settings { app_records_url: Some("http://127.0.0.1:9/v1/instances".to_owned()), ..Settings::default() };
    for (bench, call) in [
        (Bench::with(records).await, "curl -X POST http://127.0.0.1:9/v1/instances/"),
        (Bench::new().await, "/oauth2/token"),
    ] {
        assert!(!bench.get("/?part=live").await.text().await.unwrap().contains("token-call"));
        let id = bench.install().await;
        let page = bench.get("/?part=live").await.text().await.unwrap();
        assert!(
            page.contains(&format!("data-copy=\"{id}\"")) && page.contains(&format!("<code class=\"id\">{id}</code>"))
        );
        let shown = page.split("id=\"token-call\"").nth(1).unwrap().split("</pre>").next().unwrap();
        assert!(shown.contains(call) && shown.contains(&id), "{shown}");
    }
}

#[tokio::test]
async fn a_dropped_simulator_stops_listening() {
    let sim = Sim::start(Settings::default()).await.unwrap();
    let url = format!("{}/_sim/app", sim.url());
    let connect = || reqwest::Client::builder().no_proxy().build().unwrap().get(&url).send();
    assert!(connect().await.is_ok());
    drop(sim);
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    assert!(connect().await.is_err());
}
