//! The table of webhooks, with what became of each at the app, and the table of the events of wix-edge.

use maud::{Markup, html};

use super::live::{SHOWN, moment, table as any_table, whole};
use crate::app_backend::{AppAnswer, Inbox, Received};
use crate::control::Snapshot;
use crate::webhook::{AttemptOutcome, Delivery, Outcome};

/// After this time an accepted webhook without a delivery counts as not passed on. Delivery begins within a second.
const PASSED_ON_WITHIN_MS: i64 = 5_000;

/// Deliveries that the app refused, and an answer other than 200.
pub(super) fn warnings(state: &Snapshot) -> Markup {
    let Some(inbox) = &state.app_deliveries else { return html! {} };
    let answer = state.switches.app_answer;
    html! {
        @if answer != AppAnswer::Ok {
            section .card.warn { h2 { (answers(answer)) } p { "Every delivery of an event fails until the answer 200 is set." } }
        }
        @if !inbox.refused.is_empty() {
            section .card.warn {
                h2 { "Deliveries that the app refused " span .count { (inbox.refused.values().sum::<u64>()) } }
                ul { @for (reason, count) in &inbox.refused { li { (count) " times: " (reason) } } }
            }
        }
    }
}

pub(super) fn table(state: &Snapshot) -> Markup {
    let rows = html! {
        @for delivery in state.deliveries.iter().rev().take(SHOWN) {
            tr {
                td { (moment(delivery.created_at_ms)) }
                td .wide { (delivery.event_type) }
                td { @if let Some(id) = &delivery.instance_id { (whole(id)) } @else { span .muted { "none" } } }
                td { (outcome(delivery)) @if let Some(next) = delivery.next_attempt_at_ms { br; span .muted { "next " (moment(next)) } } }
                @if let Some(inbox) = &state.app_deliveries { td .at-app { (at_app(delivery, inbox, state.now_ms)) } }
                td { (attempts(delivery)) }
            }
        }
    };
    let heads: &[&str] = if state.app_deliveries.is_some() {
        &["Created", "Event", "Instance", "Outcome", "At the app", "Attempts"]
    } else {
        &["Created", "Event", "Instance", "Outcome", "Attempts"]
    };
    html! { div #h-webhooks { (any_table("Webhooks", state.deliveries.len(), heads, "No webhooks yet.", &rows)) } }
}

fn outcome(delivery: &Delivery) -> Markup {
    let (class, text) = match delivery.outcome {
        Outcome::Pending => ("wait", "pending"),
        Outcome::Held => ("wait", "held"),
        Outcome::Delivered => ("good", "delivered"),
        Outcome::GivenUp => ("bad", "given up"),
        Outcome::Dropped => ("bad", "dropped"),
        Outcome::NotConfigured => ("wait", "no webhook URL"),
    };
    html! { span class={ "pill " (class) } { (text) } }
}

fn attempts(delivery: &Delivery) -> Markup {
    html! {
        ol .attempts {
            @for attempt in &delivery.attempts {
                li title=[attempt.detail.as_deref()] {
                    (moment(attempt.at_ms)) " "
                    @match (attempt.status, attempt.outcome) {
                        (Some(status), AttemptOutcome::Delivered) => span .good-text { (status) },
                        (Some(status), _) => span .bad-text { (status) },
                        (None, AttemptOutcome::TimedOut) => span .bad-text { "timed out" },
                        (None, _) => span .bad-text { "unreachable" },
                    }
                    " " span .muted { (attempt.duration_ms) " ms" }
                }
            }
        }
    }
}

/// What became of a webhook at the app.
fn at_app(delivery: &Delivery, inbox: &Inbox, now_ms: i64) -> Markup {
    let (Some(sent), Some(first)) = (&delivery.sent, delivery.attempts.first()) else { return html! {} };
    if let Some(received) = sent.find(inbox) {
        return result(received, Some(first.at_ms));
    }
    let Some(accepted) = delivery.attempts.last().filter(|_| delivery.outcome == Outcome::Delivered) else {
        return html! { span .muted { "the Worker has not accepted it" } };
    };
    let expected_by_ms = accepted.at_ms + PASSED_ON_WITHIN_MS;
    if sent.is_behind_a_failing_event(inbox, expected_by_ms) {
        return html! { span .pill.wait { "waiting" } " behind a failing event" };
    }
    if now_ms < expected_by_ms {
        return html! { span .pill.wait { "waiting" } };
    }
    html! { span .muted { "the Worker did not pass it on" } }
}

/// The result of an event at the app; the time is counted from the webhook's first attempt.
fn result(received: &Received, since_ms: Option<i64>) -> Markup {
    let Some(delivered) = received.delivered else {
        return html! {
            span .bad-text { "failing" } ": the app " (answered(received.last_answer)) "; " (times(received.attempts, "attempt"))
        };
    };
    let took = since_ms.map(|since| format!("{} ms, ", (delivered.at_ms - since).max(0)));
    let again = received.attempts.saturating_sub(delivered.attempt);
    html! {
        span .good-text { "delivered" } " (attempt " (delivered.attempt) ", " (took.unwrap_or_default()) "sequence " (received.event.sequence) ")"
        @if again > 0 { br; span .muted { "and again " (times(again, "time")) } }
        br; code { (received.webhook_id) }
    }
}

fn answered(answer: AppAnswer) -> String {
    answer.status().map_or_else(|| "gave no answer".to_owned(), |status| format!("answered {}", status.as_u16()))
}

/// The present answer.
fn answers(answer: AppAnswer) -> String {
    let status = answer.status().map(|status| format!("The app answers {}", status.as_u16()));
    status.unwrap_or_else(|| "The app gives no answer".to_owned())
}

fn times(count: u32, name: &str) -> String {
    if count == 1 { format!("1 {name}") } else { format!("{count} {name}s") }
}

/// The events that wix-edge itself emits. No webhook belongs to them.
pub(super) fn own_events(state: &Snapshot) -> Markup {
    let Some(inbox) = &state.app_deliveries else { return html! {} };
    let own: Vec<&Received> = inbox.deliveries.iter().filter(|received| received.is_own()).collect();
    let rows = html! {
        @for received in own.iter().rev().take(SHOWN) {
            tr {
                td { (moment(received.first_at_ms)) }
                td .wide { (received.event.event_type) }
                td { @if let Some(id) = &received.event.instance_id { (whole(id)) } @else { span .muted { "none" } } }
                td .at-app { (result(received, None)) }
            }
        }
    };
    any_table(
        "Events of wix-edge",
        own.len(),
        &["At", "Event", "Instance", "At the app"],
        "The Worker has not sent an event of its own yet.",
        &rows,
    )
}
