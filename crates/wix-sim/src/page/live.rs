//! The live part of the page: installs, deliveries, BI events, close-window visits, calls.

use maud::{Markup, html};
use serde_json::Value;
use url::Url;

use super::webhooks;
use crate::control::{Shown, Snapshot};
use crate::ids;
use crate::plugin::samples::SAMPLES;
use crate::records::Records;
use crate::webhook::samples::event_types;
use crate::world::{Instance, Status};

/// The number of rows of each table, newest first.
pub(super) const SHOWN: usize = 30;

/// All tables.
pub(super) fn tables(state: &Snapshot, records_url: Option<&Url>) -> Markup {
    html! {
        div #now hidden data-now=(clock(state.now_ms)) data-ahead=(state.clock_offset_seconds) {}
        (findings(state))
        (webhooks::warnings(state))
        (token_call(state, records_url))
        (instances(state))
        (webhooks::table(state))
        (webhooks::own_events(state))
        div .split { (close_visits(state)) (bi_events(state)) }
        (calls(state))
    }
}

/// A time as `date hours:minutes:seconds`, UTC.
fn clock(at_ms: i64) -> String {
    let text = ids::iso(at_ms);
    text.get(..19).map_or_else(String::new, |text| text.replace('T', " "))
}

/// The time of day, UTC, with the date as a tooltip.
pub(super) fn moment(at_ms: i64) -> Markup {
    let text = ids::iso(at_ms);
    html! { time datetime=(text) title=(text) { (text.get(11..19).unwrap_or_default()) } }
}

/// An id; a click selects all of it.
pub(super) fn whole(id: &str) -> Markup {
    html! { code .id { (id) } }
}

/// An id with a Copy button.
fn copyable(id: &str) -> Markup {
    html! { (whole(id)) br; (copy_button(id, "Copy the instance id")) }
}

fn copy_button(text: &str, label: &str) -> Markup {
    html! { button .copy type="button" data-copy=(text) aria-label=(label) title=(label) { "Copy" } }
}

pub(super) fn table(title: &str, count: usize, heads: &[&str], empty: &str, rows: &Markup) -> Markup {
    html! {
        section .card {
            h2 { (title) " " span .count { (count) } }
            @if count == 0 {
                p .muted { (empty) }
            } @else {
                div .scroll tabindex="0" role="region" aria-label=(title) {
                    table {
                        thead { tr { @for head in heads { th scope="col" { (head) } } } }
                        tbody { (rows) }
                    }
                }
                @if count > SHOWN { p .muted { "This table has the newest " (SHOWN) "; " code { "GET /_sim/state" } " has all." } }
            }
        }
    }
}

fn findings(state: &Snapshot) -> Markup {
    html! {
        @if !state.findings.is_empty() {
            section .card.warn {
                h2 { "Violations of Wix's rules " span .count { (state.findings.len()) } }
                ul { @for finding in state.findings.iter().rev().take(8) { li { (moment(finding.at_ms)) " " code { (finding.path) } " – " (finding.detail) } } }
            }
        }
        @if !state.faults.is_empty() {
            section .card.warn {
                h2 { "Active faults " span .count { (state.faults.len()) } }
                ul {
                    @for fault in &state.faults {
                        li { code { (serde_json::to_string(fault).unwrap_or_default()) } }
                    }
                }
            }
        }
    }
}

/// The request for a token of the newest instance: to the app if its list of instances is known, else to Wix.
fn token_call(state: &Snapshot, records_url: Option<&Url>) -> Markup {
    let installed = state.instances.iter().filter(|instance| instance.status == Status::Installed);
    let Some(newest) = installed.max_by_key(|instance| instance.installed_at_ms) else { return html! {} };
    let site = state.sites.iter().find(|site| site.site_id == newest.site_id).map_or("?", |site| site.name.as_str());
    let call = records_url.map_or_else(
        || wix_call(&state.app, &newest.instance_id),
        |url| format!("curl -X POST {url}/{}/token \\\n  -H \"Authorization: Bearer $API_KEY\"", newest.instance_id),
    );
    let (name, meaning) =
        if records_url.is_some() { ("API_KEY", "an API key of the app") } else { ("APP_SECRET", "the app secret") };
    html! {
        section .card aria-labelledby="h-token" {
            h2 #h-token { "Get a token for " (site) }
            pre #token-call tabindex="0" { (call) }
            div .actions { (copy_button(&call, "Copy the command")) span .muted { code { "$" (name) } " is " (meaning) "." } }
        }
    }
}

fn wix_call(app: &Shown, instance_id: &str) -> String {
    format!(
        "curl -X POST {}/oauth2/token \\\n  -H 'Content-Type: application/json' \\\n  -d '{{\"grant_type\":\"client_credentials\",\"client_id\":\"{}\",\"client_secret\":\"'\"$APP_SECRET\"'\",\"instance_id\":\"{instance_id}\"}}'",
        app.url, app.app_id
    )
}

fn instances(state: &Snapshot) -> Markup {
    let mut newest: Vec<&Instance> = state.instances.iter().collect();
    newest.sort_by_key(|instance| std::cmp::Reverse(instance.first_installed_at_ms));
    let rows = html! {
        @for instance in newest.iter().take(SHOWN) {
            tr {
                td {
                    (state.sites.iter().find(|site| site.site_id == instance.site_id).map_or("?", |site| site.name.as_str()))
                    br; (whole(&instance.site_id))
                }
                td { (copyable(&instance.instance_id)) @if let Some(origin) = &instance.origin_instance_id { br; span .muted { "copy of " (whole(origin)) } } }
                td {
                    @match instance.status {
                        Status::Installed => span .pill.good { "installed" },
                        Status::Removed => span .pill.bad { "removed" },
                    }
                    @if instance.setup_incomplete { " " span .pill.wait { "Setup incomplete" } }
                    @if instance.configured { " " span .pill.good { "configured" } }
                }
                td { (instance.plan.as_ref().map_or("free", |plan| plan.vendor_product_id.as_str())) }
                td { (moment(instance.installed_at_ms)) }
                td { (buttons(instance)) }
            }
        }
    };
    table(
        "Installs",
        state.instances.len(),
        &["Site", "Instance", "Status", "Plan", "Since", "Actions"],
        "The app is not installed on a site yet.",
        &rows,
    )
}

fn buttons(instance: &Instance) -> Markup {
    let at = |action: &str| format!("/_sim/instances/{}/{action}", instance.instance_id);
    html! {
        div .actions.small {
            @match instance.status {
                Status::Installed => {
                    button type="button" data-post=(at("remove")) data-done="Removed." { "Remove" }
                    button type="button" data-post=(at("clone")) data-done="Site cloned." { "Clone" }
                    button type="button" data-post=(at("update")) data-open="app_url" data-done="Updated." { "Update" }
                }
                Status::Removed => button type="button" data-post=(at("reinstall")) data-done="Reinstalled." { "Reinstall" },
            }
            span .event {
                select aria-label="Event" { @for name in event_types() { option value=(name) { (name.rsplit('.').next().unwrap_or(name)) } } }
                button type="button" data-post=(at("events")) data-event data-done="Event sent." { "Send" }
            }
            span .event {
                select aria-label="Service plugin" { @for sample in &SAMPLES { option value=(sample.path) { (sample.name) } } }
                button type="button" data-post="/_sim/plugin-calls" data-plugin=(instance.instance_id) { "Call plugin" }
            }
        }
    }
}

fn close_visits(state: &Snapshot) -> Markup {
    let rows = html! {
        @for visit in state.close_window_visits.iter().rev().take(SHOWN) {
            tr {
                td { (moment(visit.at_ms)) }
                td { @if let Some(id) = &visit.instance_id { (whole(id)) } @else { span .muted { "unknown token" } } }
                td { @if visit.token_live { span .pill.good { "live" } } @else { span .pill.bad { "not live" } } }
                td {
                    @match visit.opener_reachable {
                        Some(true) => span .pill.good { "yes" },
                        Some(false) => span .pill.bad { "no" },
                        None if visit.by_browser => span .pill.wait { "not reported" },
                        None => span .pill.bad { "no browser" },
                    }
                }
            }
        }
    };
    table(
        "Close-window visits",
        state.close_window_visits.len(),
        &["At", "Instance", "Token", "Opener reachable"],
        "No install has reached the close-window page yet.",
        &rows,
    )
}

fn bi_events(state: &Snapshot) -> Markup {
    let rows = html! {
        @for event in state.bi_events.iter().rev().take(SHOWN) {
            tr {
                td { (moment(event.at_ms)) }
                td { (whole(&event.instance_id)) }
                td .wide { (event.event_name) @if let Some(name) = &event.custom_event_name { br; span .muted { (name) } } }
                td .wide { @if !event.event_data.is_null() { code { (event.event_data) } } }
            }
        }
    };
    table(
        "BI events",
        state.bi_events.len(),
        &["At", "Instance", "Event", "Data"],
        "The app has not sent a BI event yet.",
        &rows,
    )
}

fn calls(state: &Snapshot) -> Markup {
    let counts = state.call_counts.iter().map(|(endpoint, count)| {
        let name = serde_json::to_value(endpoint).ok().and_then(|value| value.as_str().map(str::to_owned));
        format!("{} {count}", name.unwrap_or_default())
    });
    let counts = counts.collect::<Vec<_>>().join(" · ");
    let rows = html! {
        @for call in state.calls.iter().rev().take(SHOWN) {
            tr {
                td { (moment(call.at_ms)) }
                td .wide { (call.method) " " code { (call.path) } @if let Some(grant) = &call.grant_type { br; span .muted { (grant) } } }
                td { @if let Some(id) = &call.instance_id { (whole(id)) } }
                td {
                    @match call.status {
                        0 => span .bad-text { "cut" },
                        status if status < 400 => span .good-text { (status) },
                        status => span .bad-text { (status) },
                    }
                    @if let Some(fault) = &call.fault { " " span .pill.wait { (fault) } }
                }
                td { (call.duration_ms) " ms" }
            }
        }
    };
    html! {
        (table("Calls to Wix", state.calls.len(), &["At", "Call", "Instance", "Status", "Duration"], "The app has not called Wix yet.", &rows))
        @if !counts.is_empty() { p .muted.under { (counts) } }
    }
}

/// The app's records.
pub(super) fn app_records(records: &Records) -> Markup {
    let list = records.answer.as_ref().and_then(|answer| answer.get("instances")).and_then(Value::as_array);
    let text = |record: &Value, name: &str| match record.get(name) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    let at =
        |record: &Value, name: &str| record.get(name).and_then(Value::as_i64).map(|seconds| moment(seconds * 1000));
    if let Some(error) = &records.error {
        return html! { section .card.warn { h2 { "The app's records" } p .bad-text { (error) } } };
    }
    let Some(list) = list else {
        return html! { section .card.warn { h2 { "The app's records" } p .bad-text { "The app's response must have a list of instances." } } };
    };
    let rows = html! {
        @for record in list.iter().take(SHOWN) {
            @let status = text(record, "status");
            tr {
                td { (copyable(&text(record, "instance_id"))) }
                td { span class={ "pill " (if status == "installed" { "good" } else if status == "pending" { "wait" } else { "bad" }) } { (status) } }
                td { (text(record, "auth")) }
                td { @if let Some(at) = at(record, "installed_at") { (at) } }
                td { @if let Some(at) = at(record, "configured_at") { (at) } }
                td { @if let Some(at) = at(record, "last_event_at") { (at) } }
                td { (text(record, "plan")) }
            }
        }
    };
    table(
        "The app's records",
        list.len(),
        &["Instance", "Status", "Auth", "Installed", "Configured", "Last event", "Plan"],
        "The app has no records yet.",
        &rows,
    )
}
