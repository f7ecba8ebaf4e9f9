use std::collections::BTreeSet;

use super::*;
use crate::switches::Switches;

#[test]
fn the_readme_describes_exactly_the_existing_switches() {
    let written: BTreeSet<String> = described().map(|(name, _)| name.to_owned()).collect();
    let known = serde_json::to_value(Switches::default()).unwrap();
    let known: BTreeSet<String> = known.as_object().unwrap().keys().cloned().collect();
    assert_eq!(written, known);
}

#[test]
fn an_enumerated_switch_accepts_every_value_that_the_page_offers() {
    for name in ["app_answer", "webhook_order", "cancel_answer", "webhook_iat_clock", "webhook_retry_signature"] {
        for word in choices(name) {
            let patch = serde_json::json!({ name: word });
            assert!(Switches::default().patched(patch.as_object().unwrap()).is_ok(), "{name}: {word}");
        }
    }
}
