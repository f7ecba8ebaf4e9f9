//! Refresh tokens that are changed, revoked or unreadable, and instances that are removed and reinstalled.

use std::cell::Cell;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::{EXCHANGE, TOKEN, connected, installed};
use crate::testing::clock::START;
use crate::testing::jws;
use crate::testing::kv::Op;
use crate::testing::wix::{Canned, REFRESH_TOKEN};
use crate::testing::world::{INSTANCE, World};

#[test]
fn a_removed_instance_has_no_token_and_its_secrets_are_erased() {
    for world in [installed(), connected()] {
        world.token(INSTANCE);
        world.fake.clock().advance(10);
        assert_eq!(world.webhook(jws::removed(INSTANCE, world.now())).status, 200);
        assert_eq!(world.token(INSTANCE).problem(), (410, "removed_instance".to_owned()));
        assert_eq!(world.isolate(&[]).token(INSTANCE).status, 410);
        assert!(world.fake.kv().keys("v1:refresh:").is_empty());
        assert!(world.fake.kv().keys("v1:access:").is_empty());
        assert_eq!(world.instance(INSTANCE)["status"], "removed");
    }
}

#[test]
fn a_reinstalled_instance_has_tokens_again() {
    let world = connected();
    world.webhook(jws::removed(INSTANCE, START + 360));
    world.fake.clock().advance(60);
    world.webhook(jws::installed(INSTANCE, world.now()));
    assert_eq!(world.token(INSTANCE).access_token(), "OauthNG.JWS.planted-token.2");
    assert_eq!(
        world.instance(INSTANCE)["auth"],
        "oauth",
        "the refresh token of the former installation must be erased"
    );
}

#[test]
fn a_stale_row_does_not_refuse_a_reinstalled_instance() {
    let world = installed();
    world.webhook(jws::removed(INSTANCE, START + 10));
    let stale = world.fake.kv().entries()[&format!("v1:instance:{INSTANCE}")].clone();
    world.webhook(jws::installed(INSTANCE, START + 20));
    world.fake.kv().insert_directly(&format!("v1:instance:{INSTANCE}"), &stale.value, stale.metadata.as_deref());
    assert_eq!(world.token(INSTANCE).status, 200);
}

#[test]
fn a_changed_refresh_token_is_stored() {
    let world = connected();
    let changed = json!({"access_token": "OAUTH2.x", "refresh_token": "OAUTH2.changed"});
    world.fake.wix().queue(EXCHANGE, [Canned::ok(&changed)]);
    world.token(INSTANCE);
    let other = world.isolate(&[]);
    other.token(INSTANCE);
    assert_eq!(world.fake.wix().sent()[1].json["refresh_token"], "OAUTH2.changed");
}

#[test]
fn an_unchanged_refresh_token_is_not_written_again() {
    let world = connected();
    world.fake.kv().take_changes();
    world.token(INSTANCE);
    assert_eq!(world.fake.kv().take_changes(), []);

    world.fake.clock().advance(300);
    world.fake.wix().queue(EXCHANGE, [Canned::ok(&json!({"access_token": "OAUTH2.x"}))]);
    world.token(INSTANCE);
    assert_eq!(world.fake.kv().take_changes(), []);
    world.fake.clock().advance(300);
    assert_eq!(world.token(INSTANCE).status, 200);
    assert_eq!(world.fake.wix().sent().last().unwrap().json["refresh_token"], REFRESH_TOKEN);
}

#[test]
fn a_revoked_refresh_token_heals_by_client_credentials() {
    for status in [400, 401, 403, 404] {
        let world = connected();
        world.fake.wix().always(EXCHANGE, Canned::status(status));
        assert_eq!(world.token(INSTANCE).access_token(), "OauthNG.JWS.planted-token.2", "{status}");
        assert_eq!(
            world.fake.wix().take_paths(),
            [EXCHANGE, EXCHANGE, TOKEN],
            "a refusal counts only if it is repeated"
        );

        let instance = world.instance(INSTANCE);
        assert_eq!(instance["auth"], "custom_healed");
        assert_eq!(instance["status"], "installed");
        assert_eq!(instance["last_token"], json!({"at": START + 360, "outcome": "healed"}));

        // From then on the refresh token is not used, and the four-hour token is shared through KV.
        world.isolate(&[]).token(INSTANCE);
        assert_eq!(world.fake.wix().take_paths(), Vec::<String>::new());
        world.fake.clock().advance(14_400);
        world.token(INSTANCE);
        assert_eq!(world.fake.wix().take_paths(), [TOKEN]);
    }
}

#[test]
fn a_single_refusal_of_the_refresh_token_changes_nothing() {
    let world = connected();
    world.fake.wix().queue(EXCHANGE, [Canned::status(401)]);
    assert_eq!(world.token(INSTANCE).access_token(), "OAUTH2.planted-token.2");
    assert_eq!(world.instance(INSTANCE)["auth"], "custom");
}

#[test]
fn a_new_consent_ends_the_healing() {
    let world = connected();
    world.fake.wix().always(EXCHANGE, Canned::status(400));
    world.token(INSTANCE);
    world.fake.wix().clear_script();
    world.fake.clock().advance(60);
    world.connect();
    world.fake.clock().advance(300);
    world.fake.wix().take_paths();
    assert_eq!(world.instance(INSTANCE)["auth"], "custom");
    world.token(INSTANCE);
    assert_eq!(world.fake.wix().take_paths(), [EXCHANGE]);
}

#[test]
fn an_unreadable_refresh_token_falls_back_to_client_credentials_and_stores_nothing() {
    let world = connected();
    let key = format!("v1:refresh:{INSTANCE}");
    for unreadable in ["", "nonsense", "s1.k9.AAAAAAAAAAAAAAAA.AAAA", "s2.k1.AAAAAAAAAAAAAAAA.AAAA"] {
        world.fake.kv().insert_directly(&key, unreadable, None);
        let isolate = world.isolate(&[]);
        assert_eq!(isolate.token(INSTANCE).status, 200, "{unreadable}");
    }
    assert_eq!(world.fake.last_log()["error"], "refresh_token_unreadable");
    assert_eq!(world.instance(INSTANCE)["auth"], "custom");
}

#[test]
fn a_sealing_key_unknown_to_an_older_isolate_causes_no_healing() {
    // During a deployment with a new first key, an isolate with the old configuration still serves requests.
    let keys = |list: &[&str]| {
        let bytes = |id: &str| STANDARD.encode(Sha256::digest(id));
        list.iter().map(|id| format!("{id}:{}", bytes(id))).collect::<Vec<_>>().join(",")
    };
    let new = World::with(&[("SEALING_KEYS", &keys(&["new", "old"]))]);
    new.connect();
    new.fake.clock().advance(400);
    let old = new.isolate(&[("SEALING_KEYS", &keys(&["old"]))]);
    assert_eq!(old.token(INSTANCE).status, 200);
    assert_eq!(new.instance(INSTANCE)["auth"], "custom");
    new.fake.wix().take_paths();
    new.fake.clock().advance(400);
    assert_eq!(new.isolate(&[("SEALING_KEYS", &keys(&["new", "old"]))]).token(INSTANCE).status, 200);
    assert_eq!(new.fake.wix().take_paths(), [EXCHANGE], "the refresh token must be used again");
}

#[test]
fn storing_a_changed_refresh_token_is_retried_and_its_failure_does_not_fail_the_request() {
    for (failures, is_stored) in [(2_u32, true), (3, false)] {
        let world = connected();
        let changed = json!({"access_token": "OAUTH2.x", "refresh_token": "OAUTH2.changed"});
        world.fake.wix().queue(EXCHANGE, [Canned::ok(&changed)]);
        let left = Cell::new(failures);
        world.fake.kv().fail_where(move |op, key| {
            op == Op::Put && key.starts_with("v1:refresh:") && left.replace(left.get().saturating_sub(1)) > 0
        });
        assert_eq!(world.token(INSTANCE).access_token(), "OAUTH2.x", "{failures}");
        world.isolate(&[]).token(INSTANCE);
        let sent = world.fake.wix().sent()[1].json["refresh_token"].clone();
        assert_eq!(sent == "OAUTH2.changed", is_stored, "{failures}: {sent}");
    }
}

#[test]
fn a_refresh_token_hidden_by_a_stale_read_is_not_taken_for_revoked() {
    let world = World::new();
    assert_eq!(world.connect().status, 302);
    let key = format!("v1:refresh:{INSTANCE}");
    let stored = world.fake.kv().entries()[&key].clone();
    world.fake.kv().remove_directly(&key);
    world.fake.clock().advance(30);
    let other = world.isolate(&[]);
    assert_eq!(other.token(INSTANCE).status, 200);
    assert_eq!(world.instance(INSTANCE)["auth"], "custom");
    world.fake.kv().insert_directly(&key, &stored.value, None);
    world.fake.clock().advance(300);
    world.fake.wix().take_paths();
    assert_eq!(world.isolate(&[]).token(INSTANCE).status, 200);
    assert_eq!(world.fake.wix().take_paths(), [EXCHANGE]);
}

#[test]
fn a_new_refresh_token_is_revoked_if_wix_refuses_it_and_not_if_it_is_unreadable() {
    let refused = World::new();
    refused.connect();
    refused.fake.wix().always(EXCHANGE, Canned::status(400));
    let unreadable = World::new();
    unreadable.connect();
    unreadable.fake.kv().insert_directly(&format!("v1:refresh:{INSTANCE}"), "s1.other.AAAAAAAAAAAAAAAA.AAAA", None);
    for (world, auth) in [(refused, "custom_healed"), (unreadable, "custom")] {
        world.fake.clock().advance(5);
        assert_eq!(world.isolate(&[]).token(INSTANCE).status, 200);
        assert_eq!(world.instance(INSTANCE)["auth"], auth);
    }
}
