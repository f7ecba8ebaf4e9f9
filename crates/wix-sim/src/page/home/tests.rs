use std::collections::BTreeSet;

use super::*;
use crate::switches::Switches;

#[test]
fn the_readme_describes_every_switch_and_no_other() {
    let written: BTreeSet<String> = described().map(|(name, _)| name.to_owned()).collect();
    let known = serde_json::to_value(Switches::default()).unwrap();
    let known: BTreeSet<String> = known.as_object().unwrap().keys().cloned().collect();
    assert_eq!(written, known);
}

#[test]
fn a_switch_of_a_few_words_offers_the_words_that_are_taken() {
    for name in ["webhook_order", "cancel_answer", "webhook_iat_clock", "webhook_retry_signature"] {
        for word in choices(name) {
            let patch = serde_json::json!({ name: word });
            assert!(Switches::default().patched(patch.as_object().unwrap()).is_ok(), "{name}: {word}");
        }
    }
}
