use serde_json::json;

use super::*;

fn fault(value: Value) -> Fault {
    serde_json::from_value(value).unwrap()
}

#[test]
fn a_fault_applies_to_its_number_of_calls() {
    let mut faults = vec![fault(json!({"endpoint": "oauth2_token", "kind": "status", "status": 500, "times": 2}))];
    assert!(take(&mut faults, Endpoint::TokenInfo, None).is_none());
    assert!(take(&mut faults, Endpoint::Oauth2Token, None).is_some());
    assert!(take(&mut faults, Endpoint::Oauth2Token, None).is_some());
    assert!(take(&mut faults, Endpoint::Oauth2Token, None).is_none());
    assert!(faults.is_empty());
}

#[test]
fn a_fault_for_one_instance_does_not_apply_to_others() {
    let mut faults = vec![fault(json!({"endpoint": "bi_event", "kind": "rate_limited", "instance_id": "a"}))];
    assert!(take(&mut faults, Endpoint::BiEvent, Some("b")).is_none());
    assert!(take(&mut faults, Endpoint::BiEvent, None).is_none());
    assert!(take(&mut faults, Endpoint::BiEvent, Some("a")).is_some());
}

#[test]
fn a_fault_with_an_invalid_value_is_refused() {
    assert!(fault(json!({"endpoint": "bi_event", "kind": "cut", "times": 0})).check().is_err());
    assert!(fault(json!({"endpoint": "bi_event", "kind": "status", "status": 99})).check().is_err());
}

#[test]
fn each_value_gets_another_type() {
    assert_eq!(of_another_type(&json!("text")), json!(1));
    assert_eq!(of_another_type(&json!(14400)), json!("14400"));
    assert_eq!(of_another_type(&json!(true)), json!("true"));
}
