//! The object's copy of a refresh token that cannot be opened, or whose original the operator has deleted from KV.

use super::object::connected;
use super::{EXCHANGE, TOKEN};
use crate::delivery::Sql as _;
use crate::testing::clock::START;
use crate::testing::kv::Op;
use crate::testing::world::{API_KEY, INSTANCE, SEALING_KEY, TestResponse, World};

/// A configuration without the key that sealed the tokens.
const LOST: [(&str, &str); 1] = [("SEALING_KEYS", "k2:CAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAg=")];

/// An installation whose object has copied the refresh token.
fn copied() -> World {
    let world = connected();
    assert_eq!(world.token(INSTANCE).status, 200);
    assert!(copy(&world).is_some());
    world.fake.wix().take_paths();
    world
}

fn copy(world: &World) -> Option<String> {
    world.fake.object(INSTANCE).texts("SELECT value FROM about WHERE name = 'refresh_token'").pop()
}

fn damage_copy(world: &World) -> Option<String> {
    let statement = "UPDATE about SET value = 's1.k9.AAAAAAAAAAAAAAAA.AAAA' WHERE name = 'refresh_token'";
    world.fake.object(INSTANCE).sql(statement, &[]).expect("a storage that works");
    copy(world)
}

fn delete_in_kv(world: &World) {
    world.fake.kv().remove_directly(&format!("v1:refresh:{INSTANCE}"));
}

fn force(world: &World) -> TestResponse {
    world.post(&format!("/v1/instances/{INSTANCE}/token")).key(API_KEY).body(r#"{"force":true}"#).send()
}

/// The `auth` of the installation, after a token that Wix was asked for in this way.
#[track_caller]
fn assert_token(world: &World, response: &TestResponse, path: &str, auth: &str) {
    assert_eq!(response.status, 200, "{}", response.body);
    assert_eq!(world.fake.wix().take_paths(), [path]);
    assert_eq!(world.instance(INSTANCE)["auth"], auth);
}

/// How many lines of the log say that the refresh token cannot be opened.
fn unreadable(world: &World) -> usize {
    world.fake.log_lines().iter().filter(|(_, line)| line.contains("refresh_token_unreadable")).count()
}

#[test]
fn the_loss_of_the_key_heals_when_the_operator_deletes_the_token_in_kv() {
    let world = copied();
    let lost = world.redeployed(&LOST);
    assert_token(&world, &lost.token(INSTANCE), TOKEN, "custom");
    assert_eq!(unreadable(&world), 1);
    delete_in_kv(&world);
    assert_token(&world, &force(&lost), TOKEN, "custom_healed");
    assert_eq!((unreadable(&world), copy(&world)), (1, None), "no further line");
}

#[test]
fn after_the_deletion_an_ordinary_token_heals_as_well() {
    let world = copied();
    delete_in_kv(&world);
    assert_token(&world, &world.redeployed(&LOST).token(INSTANCE), TOKEN, "custom_healed");
    assert_eq!(unreadable(&world), 0);
}

#[test]
fn a_copy_whose_key_is_missing_for_a_time_is_used_when_the_key_is_back() {
    let world = copied();
    let sealed = copy(&world);
    let lost = world.redeployed(&LOST);
    assert_token(&world, &force(&lost), TOKEN, "custom");
    assert_eq!(copy(&world), sealed);
    let both = format!("{},k1:{SEALING_KEY}", LOST[0].1);
    assert_token(&world, &force(&world.redeployed(&[("SEALING_KEYS", &both)])), EXCHANGE, "custom");
    assert_eq!(copy(&world), sealed);
}

#[test]
fn while_the_copy_cannot_be_opened_the_original_is_used_and_the_copy_stays() {
    let world = copied();
    let damaged = damage_copy(&world);
    assert_token(&world, &force(&world), EXCHANGE, "custom");
    assert_eq!(copy(&world), damaged);
    assert_eq!(unreadable(&world), 0);
}

#[test]
fn an_original_that_cannot_be_opened_is_not_copied() {
    let world = connected();
    assert_token(&world, &world.redeployed(&LOST).token(INSTANCE), TOKEN, "custom");
    assert_eq!(copy(&world), None);
}

#[test]
fn a_forced_token_finds_out_that_the_operator_has_deleted_the_token() {
    let world = copied();
    delete_in_kv(&world);
    // An ordinary one costs no operation of KV.
    world.fake.clock().set(START + 720);
    assert_token(&world, &world.token(INSTANCE), EXCHANGE, "custom");
    assert_token(&world, &force(&world), TOKEN, "custom_healed");
    assert_eq!(copy(&world), None);
}

#[test]
fn a_forced_token_needs_no_kv() {
    let world = copied();
    let sealed = copy(&world);
    world.fake.kv().fail_where(|op, key| op == Op::Get && key.starts_with("v1:refresh:"));
    assert_token(&world, &force(&world), EXCHANGE, "custom");
    assert_eq!(copy(&world), sealed);
}
