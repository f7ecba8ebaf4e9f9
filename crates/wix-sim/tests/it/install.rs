//! The install flows: the installer, the external flow, close-window, reinstall and clone (section 3).

use serde_json::{Value, json};

use crate::bench::{Bench, FORM, REDIRECT, location, parameter, text};

fn query(fields: &[(&str, &str)]) -> String {
    let mut url = reqwest::Url::parse("http://x/").unwrap();
    url.query_pairs_mut().extend_pairs(fields);
    url.query().unwrap().to_owned()
}

async fn consent(bench: &Bench, fields: &[(&str, &str)]) -> reqwest::Response {
    let request = bench.client.post(bench.url("/installer/consent")).header("content-type", FORM);
    request.body(query(fields)).send().await.unwrap()
}

#[tokio::test]
async fn an_approved_install_redirects_with_code_instance_id_and_state() {
    let bench = Bench::new().await;
    bench.switch(json!({"auto_approve": true})).await;
    let fields = [("state", "a b&c"), ("redirectUrl", REDIRECT), ("appId", &bench.app.app_id)];
    let url = location(&bench.get(&format!("/installer/install?{}", query(&fields))).await);
    assert!(url.as_str().starts_with(REDIRECT), "{url}");
    assert_eq!(parameter(&url, "state").as_deref(), Some("a b&c"));
    let id = parameter(&url, "instanceId").unwrap();
    assert_eq!(bench.state().await["instances"][0]["instance_id"], id.as_str());
    assert_eq!(bench.exchange(&parameter(&url, "code").unwrap()).await.0, 200);
}

#[tokio::test]
async fn without_a_state_the_redirect_has_none() {
    let bench = Bench::new().await;
    bench.switch(json!({"auto_approve": true})).await;
    let fields = [("redirectUrl", REDIRECT), ("appId", bench.app.app_id.as_str())];
    let url = location(&bench.get(&format!("/installer/install?{}", query(&fields))).await);
    assert_eq!(parameter(&url, "state"), None);
}

#[tokio::test]
async fn an_unregistered_redirect_url_a_wrong_parameter_and_an_unknown_token_show_an_error_page() {
    let bench = Bench::new().await;
    bench.switch(json!({"auto_approve": true})).await;
    let app_id = bench.app.app_id.as_str();
    let cases = [
        (vec![("appId", app_id), ("redirectUrl", "http://127.0.0.1:9/redirect")], "find an app with this redirect URL"),
        (vec![("client_id", app_id), ("redirectUrl", REDIRECT)], "find this app"),
        (vec![("appId", app_id), ("redirect_uri", REDIRECT), ("token", "x")], "redirectUrl is missing"),
        (vec![("appId", app_id), ("redirectUrl", REDIRECT), ("token", "never-given")], "has expired"),
    ];
    for (fields, expected) in cases {
        let response = bench.get(&format!("/installer/install?{}", query(&fields))).await;
        assert_eq!(response.status(), 400, "{fields:?}");
        let page = response.text().await.unwrap();
        assert!(page.contains(expected), "{fields:?}: {page}");
    }
    let rules: Vec<Value> = bench.state().await["findings"].as_array().unwrap().clone();
    assert_eq!(rules.iter().filter(|finding| finding["rule"] == "wrong_parameter").count(), 2);
}

#[tokio::test]
async fn the_consent_page_repeats_the_parameters_and_installs_on_the_chosen_site() {
    let bench = Bench::new().await;
    let site = text(&bench.control("sites", json!({"name": "Shop <1>"})).await["site_id"]);
    let fields = [("appId", bench.app.app_id.as_str()), ("redirectUrl", REDIRECT), ("state", "s\"1")];
    let page = bench.get(&format!("/installer/install?{}", query(&fields))).await.text().await.unwrap();
    assert!(page.contains("Agree &amp; Add") && page.contains("Shop &lt;1&gt;"), "{page}");
    assert!(page.contains(r#"name="state" value="s&quot;1""#), "{page}");
    let url = location(&consent(&bench, &[&fields[..], &[("site_id", &site), ("decision", "agree")]].concat()).await);
    assert_eq!(parameter(&url, "state").as_deref(), Some("s\"1"));
    assert_eq!(bench.state().await["instances"][0]["site_id"], site.as_str());
}

#[tokio::test]
async fn cancel_installs_nothing_and_redirects_if_the_switch_says_so() {
    let bench = Bench::new().await;
    let fields = [("appId", bench.app.app_id.as_str()), ("redirectUrl", REDIRECT), ("decision", "cancel")];
    assert_eq!(consent(&bench, &fields).await.status(), 200);
    bench.switch(json!({"cancel_answer": "redirect_error"})).await;
    let url = location(&consent(&bench, &fields).await);
    assert_eq!(parameter(&url, "error").as_deref(), Some("access_denied"));
    assert_eq!(parameter(&url, "code"), None);
    assert_eq!(bench.state().await["instances"], json!([]));
}

#[tokio::test]
async fn an_install_token_selects_its_site_and_a_second_consent_keeps_the_instance() {
    let bench = Bench::new().await;
    bench.switch(json!({"auto_approve": true})).await;
    let given = bench.control("install-tokens", json!({})).await;
    let token = text(&given["token"]);
    assert_eq!(token.len(), 416);
    assert!(text(&given["app_url"]).ends_with(&token));
    let fields = [("appId", bench.app.app_id.as_str()), ("redirectUrl", REDIRECT), ("token", &token)];
    let path = format!("/installer/install?{}", query(&fields));
    let first = location(&bench.get(&path).await);
    let second = location(&bench.get(&path).await);
    assert_eq!(parameter(&first, "instanceId"), parameter(&second, "instanceId"));
    assert_ne!(parameter(&first, "code"), parameter(&second, "code"));
    let state = bench.state().await;
    assert_eq!(state["instances"][0]["site_id"], given["site_id"]);
    assert_eq!(state["deliveries"].as_array().unwrap().len(), 1, "a second consent causes no event");
}

#[tokio::test]
async fn without_redirect_url_and_token_wix_redirects_to_the_app_url_and_drops_the_state() {
    let bench = Bench::new().await;
    let path = format!("/installer/install?appId={}&state=s1", bench.app.app_id);
    let url = location(&bench.get(&path).await);
    assert!(url.as_str().starts_with("http://127.0.0.1:9/install?token="), "{url}");
    assert_eq!(parameter(&url, "state"), None);
    bench.switch(json!({"loop_keeps_state": true})).await;
    assert_eq!(parameter(&location(&bench.get(&path).await), "state").as_deref(), Some("s1"));
}

#[tokio::test]
async fn the_external_flow_keeps_the_callbacks_parameters_and_signs_the_instance() {
    let bench = Bench::new().await;
    bench.switch(json!({"auto_approve": true})).await;
    let callback = "http://127.0.0.1:9/connected?state=q1";
    let fields = [("appId", bench.app.app_id.as_str()), ("postInstallationUrl", callback)];
    let path = format!("/app-installer?{}", query(&fields));
    let url = location(&bench.get(&path).await);
    assert!(url.as_str().starts_with(callback), "{url}");
    assert_eq!(parameter(&url, "appId").as_deref(), Some(bench.app.app_id.as_str()));
    assert_eq!(parameter(&url, "code"), None);
    let state = bench.state().await;
    assert_eq!(state["instances"][0]["site_id"], parameter(&url, "tenantId").unwrap().as_str());
    let signed = parameter(&url, "signedInstance").unwrap();
    let (_, info) = bench.post("/oauth2/token-info", json!({"token": signed})).await;
    assert_eq!(info["instanceId"], parameter(&url, "instanceId").unwrap().as_str());

    bench.switch(json!({"signed_instance_in_external_flow": false})).await;
    assert_eq!(parameter(&location(&bench.get(&path).await), "signedInstance"), None);
}

#[tokio::test]
async fn the_external_flow_rejects_a_callback_on_another_machine() {
    let bench = Bench::new().await;
    bench.switch(json!({"auto_approve": true})).await;
    let fields = [("appId", bench.app.app_id.as_str()), ("postInstallationUrl", "https://example.com/")];
    assert_eq!(bench.get(&format!("/app-installer?{}", query(&fields))).await.status(), 400);
}

#[tokio::test]
async fn the_external_flows_consent_page_redirects_to_the_callback() {
    let bench = Bench::new().await;
    let fields = [("appId", bench.app.app_id.as_str()), ("postInstallationUrl", "http://127.0.0.1:9/connected")];
    let page = bench.get(&format!("/app-installer?{}", query(&fields))).await.text().await.unwrap();
    assert!(page.contains(r#"name="flow" value="external""#), "{page}");
    let more = [("flow", "external"), ("site_id", "new"), ("decision", "agree")];
    assert_eq!(location(&consent(&bench, &[&fields[..], &more[..]].concat()).await).path(), "/connected");
}

#[tokio::test]
async fn a_reinstall_keeps_the_instance_id_and_a_clone_gets_a_new_one() {
    let bench = Bench::new().await;
    let id = bench.install().await;
    bench.control(&format!("instances/{id}/remove"), json!({})).await;
    let again = bench.control(&format!("instances/{id}/reinstall"), json!({})).await;
    assert_eq!(again["instance"]["instance_id"], id.as_str());
    assert_eq!(bench.post(&format!("/_sim/instances/{id}/reinstall"), json!({})).await.0, 409);
    let copy = bench.control(&format!("instances/{id}/clone"), json!({})).await;
    assert_ne!(copy["instance"]["instance_id"], id.as_str());
    assert_eq!(copy["instance"]["origin_instance_id"], id.as_str());
    let token = bench.token(&text(&copy["instance"]["instance_id"])).await;
    assert_eq!(bench.with_token("/apps/v1/instance", &token).await.1["instance"]["originInstanceId"], id.as_str());
}

#[tokio::test]
async fn close_window_records_whether_the_token_is_live_and_the_report_of_its_page() {
    let bench = Bench::new().await;
    let id = bench.install().await;
    let token = bench.token(&id).await;
    let page = bench.get(&format!("/installer/close-window?access_token={token}")).await.text().await.unwrap();
    bench.get("/installer/close-window?access_token=garbage").await;
    let state = bench.state().await;
    let visits = state["close_window_visits"].as_array().unwrap();
    assert_eq!((&visits[0]["token_live"], &visits[0]["instance_id"]), (&json!(true), &json!(id)));
    assert_eq!(visits[1]["token_live"], false);
    assert_eq!(visits[0]["by_browser"], false);
    assert_eq!(state["findings"][0]["rule"], "close_window_not_by_browser");
    assert!(!page.contains(&token) && !state.to_string().contains(&token), "a token is shown");

    let key = page.split("data-key=\"").nth(1).unwrap().split('"').next().unwrap();
    let report = |key: &str| json!({"visit_id": visits[0]["id"], "report_key": key, "opener_reachable": true});
    assert_eq!(bench.post("/_sim/close-window-reports", report("guessed")).await.0, 404);
    assert_eq!(bench.post("/_sim/close-window-reports", report(key)).await.0, 200);
    assert_eq!(bench.state().await["close_window_visits"][0]["opener_reachable"], true);
}

#[tokio::test]
async fn a_switch_selects_the_tenant_of_the_external_flow() {
    let bench = Bench::new().await;
    bench.switch(json!({"auto_approve": true})).await;
    let path =
        format!("/app-installer?appId={}&postInstallationUrl=http%3A%2F%2F127.0.0.1%3A9%2Fback", bench.app.app_id);
    let tenant = async || {
        let back = location(&bench.get(&path).await);
        (parameter(&back, "tenantId").unwrap(), parameter(&back, "instanceId").unwrap())
    };
    let site = async |instance: &str| {
        let state = bench.state().await;
        let all = |list: &str| state[list].as_array().unwrap().clone();
        let site_id = all("instances").iter().find(|one| one["instance_id"] == instance).unwrap()["site_id"].clone();
        all("sites").into_iter().find(|site| site["site_id"] == site_id).unwrap()
    };
    let (sent, instance) = tenant().await;
    assert_eq!(site(&instance).await["site_id"], sent.as_str());
    bench.switch(json!({"external_flow_tenant": "account"})).await;
    let (sent, instance) = tenant().await;
    assert_eq!(site(&instance).await["account_id"], sent.as_str());
    bench.switch(json!({"external_flow_tenant": "garbage"})).await;
    assert_eq!(tenant().await.0, "garbage");
}
