use serde_json::json;

use super::*;

fn fault(value: Value) -> Fault {
    serde_json::from_value(value).unwrap()
}

#[test]
fn a_fault_meets_as_many_calls_as_it_says_and_then_is_gone() {
    let mut faults = vec![fault(json!({"endpoint": "oauth2_token", "kind": "status", "status": 500, "times": 2}))];
    assert!(take(&mut faults, Endpoint::TokenInfo, None).is_none());
    assert!(take(&mut faults, Endpoint::Oauth2Token, None).is_some());
    assert!(take(&mut faults, Endpoint::Oauth2Token, None).is_some());
    assert!(take(&mut faults, Endpoint::Oauth2Token, None).is_none());
    assert!(faults.is_empty());
}

#[test]
fn a_fault_for_one_instance_leaves_the_others_alone() {
    let mut faults = vec![fault(json!({"endpoint": "bi_event", "kind": "rate_limited", "instance_id": "a"}))];
    assert!(take(&mut faults, Endpoint::BiEvent, Some("b")).is_none());
    assert!(take(&mut faults, Endpoint::BiEvent, None).is_none());
    assert!(take(&mut faults, Endpoint::BiEvent, Some("a")).is_some());
}

#[test]
fn a_fault_that_cannot_strike_is_refused() {
    assert!(fault(json!({"endpoint": "bi_event", "kind": "cut", "times": 0})).check().is_err());
    assert!(fault(json!({"endpoint": "bi_event", "kind": "status", "status": 99})).check().is_err());
}

#[test]
fn every_value_changes_its_type() {
    assert_eq!(of_another_type(&json!("text")), json!(1));
    assert_eq!(of_another_type(&json!(14400)), json!("14400"));
    assert_eq!(of_another_type(&json!(true)), json!("true"));
}
