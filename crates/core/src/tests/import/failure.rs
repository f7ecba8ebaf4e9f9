//! Refusals, failures and broken connections.

use serde_json::{Value, json};

use super::{REFRESH, answer, import, line, lines_of, many};
use crate::testing::kv::Op;
use crate::testing::wix::{Canned, token_info};
use crate::testing::world::{API_KEY, INSTANCE, VICTIM, World};

#[test]
fn nothing_is_stored_of_an_installation_that_wix_refuses() {
    let info = |name: &str, value: Value| {
        let mut info = token_info();
        info[name] = value;
        Canned::ok(&info)
    };
    let other = "cccccccc-bbbb-4ccc-8ddd-eeeeeeeeeeee";
    let cases = [
        ("/oauth2/token", Canned::status(400), json!({})),
        ("/oauth2/token", Canned::status(404), json!({})),
        ("/oauth/access", Canned::status(401), json!({ "refresh_token": REFRESH })),
        ("/oauth2/token-info", Canned::status(400), json!({})),
        ("/oauth2/token-info", info("instanceId", json!(VICTIM)), json!({ "refresh_token": REFRESH })),
        ("/oauth2/token-info", info("clientId", json!(other)), json!({ "refresh_token": REFRESH })),
        ("/oauth2/token-info", info("active", json!(false)), json!({})),
        ("/oauth2/token-info", info("instanceId", Value::Null), json!({})),
    ];
    for (path, response, fields) in cases {
        let world = World::new();
        world.fake.wix().always(path, response);
        assert_eq!(import(&world, line(&fields)), [answer(1, "refused")], "{path}");
        assert!(world.fake.kv().entries().is_empty());
        assert!(world.fake.wix().take_paths().len() <= 3);
    }
}

#[test]
fn a_failure_of_wix_of_kv_or_of_an_object_is_not_a_refusal() {
    let credentials = Canned::text(401, r#"{"error":"invalid_client"}"#);
    for response in
        [Canned::status(500), Canned::unreachable(), Canned::hang(), Canned::text(403, "<html>"), credentials]
    {
        for path in ["/oauth2/token", "/oauth2/token-info"] {
            let world = World::new();
            world.fake.wix().always(path, response.clone());
            let outcome = if path == "/oauth2/token-info" && matches!(&response.result, Ok(r) if r.status == 401) {
                "refused"
            } else {
                "failed"
            };
            assert_eq!(import(&world, line(&json!({}))), [answer(1, outcome)]);
            assert!(world.fake.kv().entries().is_empty());
        }
    }
    for failing in [Op::Get, Op::Put, Op::List] {
        let world = World::new();
        world.fake.kv().fail_where(move |op, _| op == failing);
        assert_eq!(import(&world, line(&json!({}))), [answer(1, "failed")]);
        world.fake.kv().clear_faults();
        assert_eq!(import(&world, line(&json!({}))), [answer(1, "imported")], "the line can be sent again");
    }
    let broken = crate::delivery::ObjectError { is_retryable: false, text: "the object broke".to_owned() };
    for result in [Err(broken), Ok((503, "store_failed")), Ok((200, "something else"))] {
        let world = World::delivering();
        world.fake.object_answers(0, result);
        assert_eq!(import(&world, line(&json!({}))), [answer(1, "failed")]);
    }
    let world = World::delivering();
    world.fake.object_answers(60_000, Ok((200, "imported")));
    assert_eq!(import(&world, line(&json!({}))), [answer(1, "failed")], "the object takes too long");
}

#[test]
fn a_line_that_only_its_object_knows_is_imported_again() {
    for prefix in ["v1:instance:", "v1:refresh:"] {
        let world = World::delivering();
        // Wix answers with the token that it was given.
        world.fake.wix().always("/oauth/access", Canned::ok(&json!({ "access_token": "OAUTH2.planted" })));
        world.fake.kv().fail_where(move |op, key| op == Op::Put && key.starts_with(prefix));
        let body = line(&json!({ "refresh_token": REFRESH }));
        assert_eq!(import(&world, body.clone()), [answer(1, "failed")], "{prefix}");
        assert_eq!(world.fake.object(INSTANCE).count("SELECT 1 FROM about WHERE name = 'told'"), 1);
        world.fake.kv().clear_faults();
        assert_eq!(import(&world, body.clone()), [answer(1, "imported")], "{prefix}");
        assert_eq!(world.instance(INSTANCE)["auth"], "custom");
        assert_eq!(import(&world, body), [answer(1, "known")], "{prefix}");
    }
}

#[test]
fn what_was_answered_counts_when_the_connection_breaks() {
    let world = World::new();
    let ids = many(&world, 3);
    let body = lines_of(&ids) + "{\"instance_id\":\"cut";
    let answer = world.post("/v1/import").key(API_KEY).body(body).broken().send();
    assert_eq!(answer.body.lines().count(), 4, "{}", answer.body);
    assert!(answer.body.ends_with("(broken off)"), "a line that was cut off is not answered");
    assert_eq!(world.fake.last_log()["outcome"], "broken_off");
    for id in &ids {
        assert_eq!(world.instance(id)["status"], "installed");
    }
}

#[test]
fn what_has_begun_is_finished_when_the_client_leaves() {
    let world = World::new();
    let ids = many(&world, 20);
    let answer = world.post("/v1/import").key(API_KEY).body(lines_of(&ids)).leaving_after(2).send();
    assert_eq!(answer.body.lines().count(), 2);
    assert_eq!(world.fake.last_log()["outcome"], "client_left");
    let stored = world.fake.kv().keys("v1:instance:").len();
    assert!((2..=9).contains(&stored), "{stored}");
    assert_eq!(world.fake.kv().keys("v1:todo:").len(), stored, "nothing is stored in part");
}
