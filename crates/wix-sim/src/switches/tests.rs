use serde_json::json;

use super::*;

fn patch(value: &serde_json::Value) -> Result<Switches, String> {
    Switches::default().patched(value.as_object().unwrap())
}

#[test]
fn the_default_retry_schedule_has_twelve_pauses_and_takes_47_hours_11_minutes() {
    let schedule = Switches::default().webhook_retry_schedule_seconds;
    assert_eq!(schedule.len(), 12);
    assert_eq!(schedule.iter().sum::<u32>(), 47 * 3_600 + 11 * 60);
}

#[test]
fn a_patch_changes_only_the_named_switches() {
    let new = patch(&json!({"auto_approve": true, "webhook_order": "before_redirect"})).unwrap();
    assert!(new.auto_approve);
    assert_eq!(new.webhook_order, WebhookOrder::BeforeRedirect);
    assert_eq!(new.token_life_seconds, 14_400);
}

#[test]
fn the_error_for_an_unknown_switch_names_it() {
    assert!(patch(&json!({"auto_aprove": true})).unwrap_err().contains("auto_aprove"));
}

#[test]
fn an_invalid_value_is_refused() {
    assert!(patch(&json!({"time_scale": 0})).is_err());
    assert!(patch(&json!({"bad_secret_status": 200})).is_err());
    assert!(patch(&json!({"webhook_content_type": "a\nb"})).is_err());
    assert!(patch(&json!({"token_info_unknown_status": 302})).is_err());
}
