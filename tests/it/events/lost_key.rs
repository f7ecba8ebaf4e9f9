//! The refresh token that an object has copied: its sealing key is lost, or the operator deletes the original in KV.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::bed::Bed;
use crate::harness::{Flow, Jar, parameter};

const BY_REFRESH_TOKEN: &str = "oauth_access refresh_token";
const BY_CREDENTIALS: &str = "oauth2_token client_credentials";

fn connected(bed: &Bed) -> String {
    let mut jar = Jar::default();
    let callback = Flow::begin_at(bed.url(), &mut jar, None).consent(&bed.wix.site());
    jar.get(&callback).expect(302);
    parameter(&callback, "instanceId")
}

/// Requests a token that Wix issues now. Asserts how, and what the record then says.
#[track_caller]
fn assert_issued(bed: &Bed, id: &str, by: &str, auth: &str) {
    let force = bed.api("POST", &format!("/v1/instances/{id}/token")).json(&json!({ "force": true }));
    force.send().expect(200);
    assert_eq!(bed.wix.called_endpoints(id).last().map(String::as_str), Some(by));
    assert_eq!(bed.api("GET", &format!("/v1/instances/{id}")).send().expect(200).json()["auth"], auth);
}

fn delete_in_kv(bed: &Bed, id: &str) {
    let key = format!("v1:refresh:{id}");
    assert_eq!(bed.kv.entries(&key).len(), 1);
    bed.kv.delete_where(|known| known == key);
}

fn unreadable(bed: &Bed) -> usize {
    let is_unreadable = |line: &Value| line.to_string().contains("refresh_token_unreadable");
    bed.log.entries().iter().filter(|line| is_unreadable(line)).count()
}

#[test]
fn the_object_gives_up_its_copy_when_the_operator_deletes_the_original() {
    let mut bed = Bed::start();
    bed.wix.switch(&json!({ "webhook_drop": true, "permission_manage_app_instance": false }));
    bed.wix.register(bed.url());
    let [deleted, lost] = [connected(&bed), connected(&bed)];
    bed.restart_ahead(600);
    for id in [&deleted, &lost] {
        assert_issued(&bed, id, BY_REFRESH_TOKEN, "custom");
    }
    delete_in_kv(&bed, &deleted);
    assert_issued(&bed, &deleted, BY_CREDENTIALS, "custom_healed");

    let keys = bed.values.get("SEALING_KEYS").to_owned();
    bed.set("SEALING_KEYS", &format!("new:{}", STANDARD.encode([7; 32])));
    assert_issued(&bed, &lost, BY_CREDENTIALS, "custom");
    let lines = unreadable(&bed);
    assert!(lines > 0);
    // The key was missing for a time only.
    bed.set("SEALING_KEYS", &keys);
    assert_issued(&bed, &lost, BY_REFRESH_TOKEN, "custom");

    bed.set("SEALING_KEYS", &format!("new:{}", STANDARD.encode([7; 32])));
    delete_in_kv(&bed, &lost);
    assert_issued(&bed, &lost, BY_CREDENTIALS, "custom_healed");
    assert_eq!(unreadable(&bed), lines);
}
