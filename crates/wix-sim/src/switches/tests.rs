use serde_json::json;

use super::*;

fn patch(value: &serde_json::Value) -> Result<Switches, String> {
    Switches::default().patched(value.as_object().unwrap())
}

#[test]
fn the_default_retry_schedule_is_twelve_waits_of_47_hours_and_11_minutes_in_all() {
    let schedule = Switches::default().webhook_retry_schedule_seconds;
    assert_eq!(schedule.len(), 12);
    assert_eq!(schedule.iter().sum::<u32>(), 47 * 3_600 + 11 * 60);
}

#[test]
fn a_patch_changes_what_it_names_and_leaves_the_rest() {
    let new = patch(&json!({"auto_approve": true, "webhook_order": "before_redirect"})).unwrap();
    assert!(new.auto_approve);
    assert_eq!(new.webhook_order, WebhookOrder::BeforeRedirect);
    assert_eq!(new.token_life_seconds, 14_400);
}

#[test]
fn an_unknown_switch_is_refused_by_name() {
    assert!(patch(&json!({"auto_aprove": true})).unwrap_err().contains("auto_aprove"));
}

#[test]
fn a_value_that_cannot_work_is_refused() {
    assert!(patch(&json!({"time_scale": 0})).is_err());
    assert!(patch(&json!({"bad_secret_status": 200})).is_err());
    assert!(patch(&json!({"webhook_content_type": "a\nb"})).is_err());
    assert!(patch(&json!({"token_info_unknown_status": 302})).is_err());
}
