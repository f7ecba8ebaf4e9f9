//! `POST /oauth2/token` (sections 1.1 to 1.4).

use serde_json::{Value, json};

use crate::bench::{Bench, FORM, read};

#[tokio::test]
async fn a_token_is_minted_for_an_installed_instance() {
    let bench = Bench::new().await;
    let id = bench.install().await;
    let response = bench.client.post(bench.url("/oauth2/token")).json(&bench.credentials(&id)).send().await.unwrap();
    assert!(response.headers().contains_key("x-wix-request-id"));
    let (status, body) = read(response).await;
    assert_eq!(status, 200);
    assert_eq!((&body["token_type"], &body["expires_in"]), (&json!("Bearer"), &json!(14_400)));
    let token = body["access_token"].as_str().unwrap();
    assert!(token.starts_with("OauthNG.JWS."), "{token}");
    assert_eq!(token.matches('.').count(), 4);
    assert_eq!(bench.with_token("/apps/v1/instance", token).await.0, 200);
    assert_eq!(bench.with_token("/apps/v1/instance", &format!("Bearer {token}")).await.0, 200);
}

#[tokio::test]
async fn a_form_body_is_accepted_unless_the_switch_is_off() {
    let bench = Bench::new().await;
    let id = bench.install().await;
    let body = format!(
        "grant_type=client_credentials&client_id={}&client_secret={}&instance_id={id}",
        bench.app.app_id, bench.app.app_secret
    );
    let send = async || {
        let request = bench.client.post(bench.url("/oauth2/token")).header("content-type", FORM).body(body.clone());
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(send().await, 200);
    bench.switch(json!({"token_accept_form": false})).await;
    assert_eq!(send().await, 400);
}

#[tokio::test]
async fn during_a_rotation_both_secrets_are_accepted_and_then_only_the_new_one() {
    let bench = Bench::new().await;
    let id = bench.install().await;
    let old = json!(bench.app.app_secret);
    let patch =
        async |body: Value| bench.client.patch(bench.url("/_sim/app")).json(&body).send().await.unwrap().status();
    let status = async |secret: &Value| changed(&bench, &id, "client_secret", secret.clone()).await.0;
    assert_eq!(patch(json!({"app_secret": "new", "previous_app_secret": old})).await, 200);
    assert_eq!((status(&old).await, status(&json!("new")).await, status(&json!("x")).await), (200, 200, 401));
    assert_eq!(patch(json!({"previous_app_secret": ""})).await, 200);
    assert_eq!((status(&old).await, status(&json!("new")).await, status(&json!("")).await), (401, 200, 400));
    assert_eq!(patch(json!({"app_secret": ""})).await, 400);
}

/// Sends the credentials with one field changed, or removed if `value` is null.
async fn changed(bench: &Bench, id: &str, field: &str, value: Value) -> (u16, Value) {
    let mut body = bench.credentials(id);
    if value.is_null() {
        body.as_object_mut().unwrap().remove(field);
    } else {
        body[field] = value;
    }
    bench.post("/oauth2/token", body).await
}

#[tokio::test]
async fn each_invalid_field_has_its_own_error() {
    let bench = Bench::new().await;
    let id = bench.install().await;
    let cases = [
        ("client_secret", json!("wrong"), 401, "invalid_client"),
        ("client_id", json!("11111111-2222-4333-8444-555555555555"), 401, "invalid_client"),
        ("grant_type", json!("password"), 400, "unsupported_grant_type"),
        ("grant_type", Value::Null, 400, "invalid_request"),
        ("client_id", Value::Null, 400, "invalid_request"),
        ("client_secret", Value::Null, 400, "invalid_request"),
        ("instance_id", Value::Null, 400, "invalid_request"),
        ("instance_id", json!(7), 400, "invalid_request"),
        ("instance_id", json!("not a guid"), 400, "invalid_request"),
    ];
    for (field, value, status, error) in cases {
        let response = changed(&bench, &id, field, value.clone()).await;
        assert_eq!((response.0, response.1["error"].as_str()), (status, Some(error)), "{field} = {value}");
    }
}

#[tokio::test]
async fn an_unknown_a_removed_and_the_nil_instance_are_404() {
    let bench = Bench::new().await;
    let removed = bench.install().await;
    bench.control(&format!("instances/{removed}/remove"), json!({})).await;
    for id in ["aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee", "00000000-0000-0000-0000-000000000000", &removed] {
        let (status, body) = bench.post("/oauth2/token", bench.credentials(id)).await;
        assert_eq!((status, body["error"].as_str()), (404, Some("not_found")), "{id}");
        assert!(body["error_description"].is_string(), "{id}");
    }
    bench.switch(json!({"missing_instance_rest_error": true})).await;
    let body = bench.post("/oauth2/token", bench.credentials(&removed)).await.1;
    assert_eq!(body["details"]["applicationError"]["code"], "NOT_FOUND");
    bench.switch(json!({"removed_instance_status": 403})).await;
    assert_eq!(bench.post("/oauth2/token", bench.credentials(&removed)).await.0, 403);
}

#[tokio::test]
async fn a_token_expires_after_four_hours_and_is_revoked_by_a_removal() {
    let bench = Bench::new().await;
    let id = bench.install().await;
    let token = bench.token(&id).await;
    bench.control("clock", json!({"advance_seconds": 14_390})).await;
    assert_eq!(bench.with_token("/apps/v1/instance", &token).await.0, 200);
    bench.control("clock", json!({"advance_seconds": 11})).await;
    assert_eq!(bench.with_token("/apps/v1/instance", &token).await.0, 401);

    let token = bench.token(&id).await;
    bench.control(&format!("instances/{id}/remove"), json!({})).await;
    assert_eq!(bench.with_token("/apps/v1/instance", &token).await.0, 401);
}

#[tokio::test]
async fn a_removal_revokes_no_access_token_if_the_switch_is_off() {
    let bench = Bench::new().await;
    bench.switch(json!({"removal_kills_access_tokens": false})).await;
    let id = bench.install().await;
    let token = bench.token(&id).await;
    bench.control(&format!("instances/{id}/remove"), json!({})).await;
    assert_eq!(bench.with_token("/apps/v1/instance", &token).await.0, 200);
}

#[tokio::test]
async fn a_bound_token_is_exchanged_for_an_unbound_one() {
    let bench = Bench::new().await;
    let token = bench.token(&bench.install().await).await;
    let body =
        json!({"grant_type": "strip_bound_session", "client_secret": bench.app.app_secret, "access_token": token});
    let (status, response) = bench.post("/oauth2/token", body).await;
    assert_eq!((status, &response["expires_in"]), (200, &json!(14_400)));
    assert_ne!(response["access_token"], token.as_str());
}

#[tokio::test]
async fn every_error_of_a_token_endpoint_has_the_oauth_form() {
    let bench = Bench::new().await;
    let removed = bench.install().await;
    let refresh = {
        let code = bench.control("codes", json!({"instance_id": removed})).await["code"].as_str().unwrap().to_owned();
        bench.exchange(&code).await.1["refresh_token"].as_str().unwrap().to_owned()
    };
    bench.control(&format!("instances/{removed}/remove"), json!({})).await;
    let client = json!({"client_id": bench.app.app_id, "client_secret": bench.app.app_secret});
    let with = |fields: Value| {
        let mut body = client.clone();
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        body
    };
    let dead = json!({"grant_type": "refresh_token", "refresh_token": refresh});
    for (path, body) in [
        ("/oauth2/token", json!([])),
        ("/oauth2/token", bench.credentials(&removed)),
        ("/oauth2/token", json!({"grant_type": "password"})),
        ("/oauth/access", with(dead.clone())),
        ("/oauth/access/", with(json!({"grant_type": "refresh_token", "refresh_token": "never given out"}))),
        ("/oauth/access", with(json!({"grant_type": "authorization_code", "code": "never given out"}))),
        ("/oauth/access", with(json!({"grant_type": "authorization_code"}))),
        ("/oauth/access", json!({"grant_type": "refresh_token", "client_id": bench.app.app_id, "client_secret": "x"})),
        ("/oauth/access", dead),
        ("/oauth/access", json!("no object")),
    ] {
        let (status, response) = bench.post(path, body.clone()).await;
        assert!((400..405).contains(&status), "{path} {body}: {status}");
        assert!(
            response["error"].is_string() && response["error_description"].is_string(),
            "{path} {body}: {response}"
        );
    }
    for path in ["/oauth2/token", "/oauth2/token-info", "/oauth/access", "/oauth/access/"] {
        let (status, response) = read(bench.get(path).await).await;
        assert_eq!((status, response["error"].as_str()), (405, Some("invalid_request")), "{path}");
    }
}
