//! `POST /v1/identity`: signed instances, and access tokens, which Wix introspects.

use serde_json::{Value, json};

use crate::testing::clock::START;
use crate::testing::jws;
use crate::testing::kv::Op;
use crate::testing::wix::{Canned, token_info};
use crate::testing::world::{API_KEY, APP_ID, APP_SECRET, INSTANCE, SITE, TestRequest, TestResponse, VICTIM, World};
use crate::wix::signed_instance::tests::sign;

const INFO: &str = "/oauth2/token-info";
const PREVIOUS: &str = "planted-former-secret";
const USER: &str = "66666666-7777-4888-8999-000000000000";

fn request<'a>(world: &'a World, body: &Value) -> TestRequest<'a> {
    world.post("/v1/identity").key(API_KEY).body(body.to_string())
}

fn of_token(world: &World, token: &str) -> TestResponse {
    request(world, &json!({"access_token": token})).send()
}

fn of_instance(world: &World, value: &str) -> TestResponse {
    request(world, &json!({"instance": value})).send()
}

fn not_genuine() -> (u16, String) {
    (422, "not_genuine".to_owned())
}

fn fields() -> Value {
    json!({
        "instanceId": INSTANCE, "appDefId": APP_ID, "metaSiteId": SITE, "signDate": "2026-01-01T00:00:00.000Z",
        "uid": USER, "permissions": "OWNER", "demoMode": false, "vendorProductId": "pro_plan",
        "originInstanceId": VICTIM, "expirationDate": "2026-01-01T04:00:00.000Z",
    })
}

fn with(name: &str, value: Value) -> Value {
    let mut fields = fields();
    fields[name] = value;
    fields
}

#[test]
fn a_signed_instance_identifies_instance_and_user() {
    let world = World::new();
    let response = of_instance(&world, &sign(APP_SECRET, &fields()));
    assert_eq!(response.status, 200, "{}", response.body);
    let wanted = json!({
        "instance_id": INSTANCE, "site_id": SITE, "user": USER, "permissions": "OWNER", "demo_mode": false,
        "vendor_product_id": "pro_plan", "origin_instance_id": VICTIM, "expires_at": START + 14_400,
    });
    assert_eq!(response.json(), wanted);
    assert_eq!(world.fake.last_log()["instance_id"], INSTANCE);
    assert!(world.fake.wix().sent().is_empty(), "no request to Wix");
}

#[test]
fn fields_missing_in_a_signed_instance_are_absent() {
    let world = World::new();
    let sparse = json!({"instanceId": INSTANCE, "signDate": "2026-01-01T00:00:00Z", "uid": "u", "permissions": "",
        "vendorProductId": null, "originInstanceId": "", "demoMode": true});
    let response = of_instance(&world, &sign(APP_SECRET, &sparse));
    assert_eq!(
        response.json(),
        json!({"instance_id": INSTANCE, "user": "u", "demo_mode": true, "expires_at": START + 14_400})
    );
    let odd = json!({"instanceId": INSTANCE, "signDate": "2026-01-01T00:00:00Z", "uid": 5, "permissions": ["OWNER"],
        "vendorProductId": "a b", "originInstanceId": {}, "demoMode": "true"});
    let response = of_instance(&world, &sign(APP_SECRET, &odd));
    assert_eq!(response.json(), json!({"instance_id": INSTANCE, "demo_mode": true, "expires_at": START + 14_400}));
}

#[test]
fn a_signed_instance_of_a_visitor_is_not_genuine() {
    let world = World::new();
    for changes in [
        json!({"uid": null}),
        json!({"uid": ""}),
        json!({"aid": "an-anonymous-id"}),
        json!({"aid": 7}),
        json!({"uid": null, "aid": "x"}),
    ] {
        let mut fields = fields();
        fields.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        assert_eq!(of_instance(&world, &sign(APP_SECRET, &fields)).problem().0, 422, "{changes}");
    }
    let mut absent = fields();
    absent.as_object_mut().unwrap().remove("uid");
    assert_eq!(of_instance(&world, &sign(APP_SECRET, &absent)).problem().0, 422);
    // Other fields with an invalid value, or an empty `aid`, do not refuse the value.
    for changes in [json!({"metaSiteId": 5}), json!({"aid": null}), json!({"aid": ""})] {
        let mut fields = fields();
        fields.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        assert_eq!(of_instance(&world, &sign(APP_SECRET, &fields)).status, 200, "{changes}");
    }
}

#[test]
fn during_a_change_of_the_app_secret_both_secrets_verify() {
    let world = World::with(&[("WIX_APP_SECRET_PREVIOUS", PREVIOUS)]);
    for secret in [APP_SECRET, PREVIOUS] {
        assert_eq!(of_instance(&world, &sign(secret, &fields())).status, 200);
    }
    assert_eq!(of_instance(&World::new(), &sign(PREVIOUS, &fields())).problem(), not_genuine());
}

#[test]
fn a_forged_expired_or_foreign_signed_instance_is_refused() {
    let world = World::new();
    let genuine = sign(APP_SECRET, &fields());
    let (signature, data) = genuine.split_once('.').unwrap();
    for value in [
        sign("planted-other-secret", &fields()),
        sign(APP_SECRET, &with("appDefId", json!(VICTIM))),
        sign(APP_SECRET, &with("aid", json!(USER))),
        sign(APP_SECRET, &with("expirationDate", json!("2025-12-31T23:59:59Z"))),
        sign(APP_SECRET, &with("signDate", json!("2026-01-01T01:00:00Z"))),
        sign(APP_SECRET, &with("instanceId", json!(""))),
        format!("{signature}.{data}x"),
        format!("{signature}."),
        data.to_owned(),
        String::new(),
        "OauthNG.JWS.planted.planted.planted".to_owned(),
    ] {
        let response = of_instance(&world, &value);
        assert_eq!(response.problem(), not_genuine(), "{value}");
        assert!(!response.body.contains(APP_SECRET) && !response.body.contains(signature), "{}", response.body);
    }
    world.fake.clock().advance(14_400);
    assert_eq!(of_instance(&world, &genuine).problem(), not_genuine());
}

#[test]
fn an_access_token_is_identified_by_introspection() {
    for (kind, shown, user) in [
        ("APP", "app", None),
        ("USER", "user", Some(USER)),
        ("MEMBER", "member", None),
        ("VISITOR", "visitor", None),
        ("UNKNOWN", "unknown", None),
        ("NEW", "unknown", None),
    ] {
        let world = World::new();
        let mut info = token_info();
        info["subjectType"] = json!(kind);
        info["subjectId"] = json!(USER);
        info["vendorProductId"] = json!("pro_plan");
        info["accountId"] = json!(VICTIM);
        world.fake.wix().always(INFO, Canned::ok(&info));
        let mut wanted = json!({
            "instance_id": INSTANCE, "site_id": SITE, "subject": {"type": shown, "id": USER},
            "vendor_product_id": "pro_plan", "account_id": VICTIM, "expires_at": START + 14_400,
        });
        if let Some(user) = user {
            wanted["user"] = json!(user);
        }
        let response = of_token(&world, "planted-token");
        assert_eq!((response.status, response.json()), (200, wanted));
        let sent = world.fake.wix().sent();
        assert_eq!(sent.len(), 1);
        assert_eq!((&sent[0].json, &sent[0].authorization), (&json!({"token": "planted-token"}), &None));
    }
}

#[test]
fn token_info_may_have_values_as_text() {
    let world = World::new();
    let mut info = token_info();
    info["active"] = json!("true");
    info["exp"] = json!((START + 60).to_string());
    info.as_object_mut().unwrap().remove("subjectId");
    world.fake.wix().always(INFO, Canned::ok(&info));
    let response = of_token(&world, "t").json();
    assert_eq!((&response["expires_at"], &response["subject"]), (&json!(START + 60), &json!({"type": "app"})));
}

#[test]
fn a_token_that_fails_introspection_is_refused() {
    for (field, value) in [
        ("active", json!(false)),
        ("active", json!("false")),
        ("active", json!(null)),
        ("clientId", json!(VICTIM)),
        ("clientId", json!(null)),
        ("instanceId", json!("")),
        ("instanceId", json!(null)),
        ("exp", json!(START)),
        ("exp", json!("1")),
    ] {
        let world = World::new();
        let mut info = token_info();
        info[field] = value.clone();
        if value.is_null() {
            info.as_object_mut().unwrap().remove(field);
        }
        world.fake.wix().always(INFO, Canned::ok(&info));
        assert_eq!(of_token(&world, "planted-token").problem(), not_genuine(), "{field} {value}");
    }
    for status in [400, 401, 403, 404] {
        let world = World::new();
        world.fake.wix().always(INFO, Canned::status(status));
        assert_eq!(of_token(&world, "planted-token").problem(), not_genuine(), "{status}");
    }
}

#[test]
fn a_malformed_token_is_refused_without_asking_wix() {
    let world = World::new();
    let visitor = sign(APP_SECRET, &with("aid", json!(USER)));
    for token in ["", "a b", "a\n", "é", &"t".repeat(32 * 1024 + 1), &visitor, &sign(APP_SECRET, &fields())] {
        assert_eq!(of_token(&world, token).problem(), not_genuine(), "{token}");
    }
    assert!(world.fake.wix().sent().is_empty());
}

#[test]
fn a_failure_of_wix_does_not_make_a_token_not_genuine() {
    let world = World::new();
    world.fake.wix().always(INFO, Canned::status(500));
    assert_eq!(of_token(&world, "t").problem(), (502, "wix_failed".to_owned()));
    world.fake.wix().always(INFO, Canned::hang());
    assert_eq!(of_token(&world, "t").problem(), (504, "wix_timeout".to_owned()));
    world.fake.wix().clear_script();
    assert_eq!(of_token(&world, "t").status, 200, "a failure is not cached");
}

#[test]
fn an_introspection_is_cached_for_a_minute_or_until_the_token_expires() {
    let world = World::new();
    let mut info = token_info();
    info["exp"] = json!(START + 100);
    world.fake.wix().always(INFO, Canned::ok(&info));
    let identify = |world: &World, token: &str| {
        let response = of_token(world, token);
        (response.status, world.fake.wix().take_paths().len())
    };
    assert_eq!(identify(&world, "one"), (200, 1));
    assert_eq!(identify(&world, "one"), (200, 0));
    assert_eq!(identify(&world, "another"), (200, 1), "each token has its own entry");
    assert_eq!(identify(&world.isolate(&[]), "one"), (200, 1), "each isolate has its own cache");
    world.fake.clock().advance(59);
    assert_eq!(identify(&world, "one"), (200, 0));
    world.fake.clock().advance(1);
    assert_eq!(identify(&world, "one"), (200, 1));
    world.fake.clock().advance(40);
    assert_eq!(identify(&world, "one"), (422, 1), "the token expired");
}

#[test]
fn a_refused_introspection_is_not_cached() {
    let world = World::new();
    world.fake.wix().queue(INFO, [Canned::ok(&json!({"active": false}))]);
    assert_eq!(of_token(&world, "t").problem(), not_genuine());
    assert_eq!(of_token(&world, "t").status, 200);
}

#[test]
fn concurrent_requests_introspect_once() {
    let world = World::new();
    world.fake.wix().queue(INFO, [Canned::ok(&token_info()).after(200)]);
    let responses = world.send_all((0..50).map(|_| request(&world, &json!({"access_token": "t"}))));
    assert!(responses.iter().all(|response| response.status == 200));
    assert_eq!(world.fake.wix().sent().len(), 1);
}

#[test]
fn a_body_with_both_values_or_none_is_a_400() {
    let world = World::new();
    let signed = sign(APP_SECRET, &fields());
    for body in [
        json!({}),
        json!({"instance": null}),
        json!({"instance": signed, "access_token": "t"}),
        json!({"instance": signed, "other": 1}),
        json!({"instance": [signed]}),
        json!({"access_token": 5}),
        json!([signed, null]),
        json!("t"),
    ] {
        assert_eq!(request(&world, &body).send().problem(), (400, "bad_request".to_owned()), "{body}");
    }
    let long = request(&world, &json!({"instance": "i".repeat(50_000)})).send();
    assert_eq!(long.problem(), (413, "too_large".to_owned()));
    assert!(world.fake.wix().sent().is_empty());
}

#[test]
fn the_log_shows_no_part_of_a_value() {
    let world = World::new();
    let signed = sign(APP_SECRET, &fields());
    let parts: Vec<&str> = signed.split('.').collect();
    of_instance(&world, &signed);
    of_instance(&world, &format!("{}.{}", parts[1], parts[0]));
    of_token(&world, &signed);
    of_token(&world, "planted-token");
    for (_, line) in world.fake.log_lines() {
        assert!(!line.contains(parts[0]) && !line.contains(parts[1]) && !line.contains("planted"), "{line}");
    }
    assert_eq!(world.fake.log_lines().len(), 4);
}

#[test]
fn an_unknown_installation_becomes_known() {
    for is_token in [false, true] {
        let world = World::new();
        let identify = || {
            if is_token { of_token(&world, "planted-token") } else { of_instance(&world, &sign(APP_SECRET, &fields())) }
        };
        assert_eq!(identify().status, 200);
        let record = world.instance(INSTANCE);
        assert_eq!((&record["status"], &record["site_id"]), (&json!("pending"), &json!(SITE)));
        assert_eq!(world.fake.rechecks().len(), 1, "Wix is asked what the site has");
        world.fake.kv().take_counts();
        assert_eq!(identify().status, 200);
        assert_eq!(world.fake.kv().take_counts(), [1, 0, 0, 0]);
        assert_eq!(identify().status, 200);
        assert_eq!(world.fake.kv().take_counts(), [0; 4], "the isolate remembers it for a while");
    }
}

#[test]
fn the_site_of_a_known_installation_is_recorded() {
    let world = World::new();
    world.webhook(jws::installed(INSTANCE, START));
    assert_eq!(world.instance(INSTANCE).get("site_id"), None);
    of_instance(&world, &sign(APP_SECRET, &fields()));
    assert_eq!(world.instance(INSTANCE)["site_id"], SITE);
}

#[test]
fn a_removal_and_a_demo_stay_as_they_are() {
    let world = World::new();
    world.webhook(jws::removed(INSTANCE, START - 600));
    let before = world.fake.kv().entries();
    assert_eq!(of_instance(&world, &sign(APP_SECRET, &fields())).status, 200);
    assert_eq!(world.fake.kv().entries(), before, "an identity contests no removal");
    let world = World::new();
    assert_eq!(of_instance(&world, &sign(APP_SECRET, &with("demoMode", json!(true)))).status, 200);
    assert!(world.fake.kv().entries().is_empty());
}

#[test]
fn an_identity_is_returned_even_if_it_cannot_be_recorded() {
    for op in [Op::Get, Op::List, Op::Put] {
        let world = World::new();
        world.fake.kv().fail_where(move |failing, _| failing == op);
        let response = of_instance(&world, &sign(APP_SECRET, &fields()));
        assert_eq!((response.status, &response.json()["instance_id"]), (200, &json!(INSTANCE)));
        assert_eq!(world.fake.last_log()["error"], "store_failed");
    }
}
