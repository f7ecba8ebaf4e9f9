//! The simulator's page: buttons, settings, switches, and the live part, which the script polls.

use axum::extract::State;
use axum::http::header::CACHE_CONTROL;
use axum::http::{StatusCode, Uri};
use axum::response::{Html, IntoResponse as _, Response};
use maud::{Markup, html};

use super::{document, live};
use crate::control::snapshot;
use crate::fields;
use crate::records;
use crate::shared::Ctx;
use crate::webhook::samples::{self, event_types};
use crate::world::App;

/// `GET /`. `?part=live` and `?part=records` select one part.
pub(super) async fn page(State(ctx): State<Ctx>, uri: Uri) -> Response {
    let part = fields::query(&uri).remove("part");
    let part = match part.as_deref() {
        Some("live") => live::tables(&snapshot(&ctx), records_url(&ctx)),
        Some("records") => live::app_records(&records::fetch(&ctx).await),
        _ => {
            let (app, switches) = ctx.read(|world| (world.app.clone(), world.switches.clone()));
            let switches = serde_json::to_value(switches).unwrap_or_default();
            let body = whole(&ctx, &app, &switches);
            return document(StatusCode::OK, "Wix simulator", Some("/assets/sim.js"), &body);
        }
    };
    ([(CACHE_CONTROL, "no-store")], Html(part.into_string())).into_response()
}

fn records_url(ctx: &Ctx) -> Option<&url::Url> {
    ctx.records.as_ref().map(|source| &source.url)
}

fn whole(ctx: &Ctx, app: &App, switches: &serde_json::Value) -> Markup {
    html! {
        a .skip href="#live" { "Skip to the tables" }
        header .top {
            div {
                h1 { "Wix simulator" }
                p { "Simulates " code { "www.wixapis.com" } " and " code { "www.wix.com" } " at " code { (ctx.url) } }
            }
            p .clock { "Simulated time " strong #clock { "…" } }
        }
        div #alert .alert role="alert" hidden {}
        div #notice .notice role="status" hidden {}
        main {
            (start(app))
            @if ctx.events_secrets.is_some() { (back_end(ctx, switches)) }
            div .split { (settings(ctx, app)) (keys(ctx, app)) }
            div #live { (live::tables(&snapshot(ctx), records_url(ctx))) }
            @if ctx.records.is_some() { div #records { p .muted { "Loading the app's records…" } } }
            (faults())
            (switch_editor(switches))
        }
    }
}

/// The buttons for actions.
fn start(app: &App) -> Markup {
    let connect =
        app.app_url.as_deref().and_then(|url| url::Url::parse(url).ok()).and_then(|url| url.join("/connect").ok());
    html! {
        section .card aria-labelledby="h-start" {
            h2 #h-start { "Start" }
            div .actions {
                button .primary type="button" #install disabled[app.app_url.is_none()] { "Install app" }
                button type="button" data-post="/_sim/inspect-app-url" data-done="The App URL passes all checks." { "Check App URL" }
                button type="button" data-post="/_sim/installs" data-done="Installed; the webhook is being sent." { "Direct install" }
                button type="button" data-post="/_sim/sites" data-done="Site created." { "New site" }
                span .event {
                    select aria-label="Test event" { @for name in event_types() { option value=(name) { (name.rsplit('.').next().unwrap_or(name)) } } }
                    button type="button" data-post="/_sim/test-webhook" data-event data-done="Test webhook sent." { "Test webhook" }
                }
                span .event {
                    select aria-label="Event of no instance" { @for name in samples::of_a_site() { option value=(name) { (name.rsplit('.').next().unwrap_or(name)) } } }
                    button type="button" data-post="/_sim/events" data-event data-done="Event sent." { "Event of no instance" }
                }
                button type="button" data-post="/_sim/deliveries/release" data-done="Held webhooks released." { "Release held webhooks" }
                button .danger type="button" data-post="/_sim/reset" data-confirm="Delete all sites, installs, tokens and records?" data-done="State reset." { "Reset" }
            }
            @if app.app_url.is_none() { p .hint { "Set the App URL below to enable “Install app”." } }
            form .inline #external {
                label for="external-url" { "Start URL of the external install" }
                input #external-url type="url" value=(connect.map(String::from).unwrap_or_default())
                    placeholder="the app's URL; empty for /app-installer";
                button type="submit" { "External install" }
            }
            form .inline #advance {
                label for="advance-by" { "Advance the clock by" }
                select #advance-by {
                    @for (seconds, name) in [(60, "1 minute"), (600, "10 minutes"), (3_600, "1 hour"), (15_000, "4 h 10 min"), (86_400, "1 day")] {
                        option value=(seconds) { (name) }
                    }
                }
                button type="submit" { "Advance" }
            }
        }
    }
}

/// The choice of how the app answers events.
fn back_end(ctx: &Ctx, switches: &serde_json::Value) -> Markup {
    let now = switches.get("app_answer").and_then(serde_json::Value::as_str);
    let name = |answer: &str| match answer {
        "200" => "200: delivered",
        "410" => "410 Gone",
        "500" => "500 Internal Server Error",
        "503" => "503 with Retry-After",
        _ => "nothing, until the delivery times out",
    };
    html! {
        section .card aria-labelledby="h-back-end" {
            h2 #h-back-end { "The app's back end" }
            p { "Receives the events that the Worker delivers, at " code { (ctx.url) (crate::app_backend::PATH) } ", and verifies their signatures. The table " a href="#h-webhooks" { "Webhooks" } " shows what became of each. It answers service plugin calls with sample data, at " code { (ctx.url) (crate::app_backend::PLUGINS_PATH) } "." }
            form .inline data-patch="/_sim/switches" data-done="Set. It holds from the next delivery on." {
                label for="app-answer" { "It answers" }
                select #app-answer name="app_answer" {
                    @for answer in choices("app_answer") { option value=(answer) selected[now == Some(*answer)] { (name(answer)) } }
                }
                button type="submit" { "Set answer" }
            }
        }
    }
}

/// The dashboard's fields.
fn settings(ctx: &Ctx, app: &App) -> Markup {
    html! {
        section .card aria-labelledby="h-app" {
            h2 #h-app { "App" }
            form .stack data-patch="/_sim/app" data-done="Saved." {
                label for="f-name" { "Name" }
                input #f-name name="name" value=(app.name);
                label for="f-app" { "App URL" }
                input #f-app name="app_url" type="url" value=(app.app_url.as_deref().unwrap_or_default()) placeholder="http://127.0.0.1:8787/install";
                label for="f-redirect" { "Redirect URLs, one per line" }
                textarea #f-redirect name="redirect_urls" data-kind="lines" rows="2" placeholder="http://127.0.0.1:8787/redirect" { (app.redirect_urls.join("\n")) }
                label for="f-webhook" { "Webhook URL" }
                input #f-webhook name="webhook_url" type="url" value=(app.webhook_url.as_deref().unwrap_or_default()) placeholder="http://127.0.0.1:8787/webhook";
                label for="f-plugins" { "Base URI of service plugins" }
                input #f-plugins name="plugins_url" type="url" value=(app.plugins_url.as_deref().unwrap_or_default()) placeholder="http://127.0.0.1:8787/plugins";
                div .actions { button .primary type="submit" { "Save" } }
            }
            p .hint { "The host of each URL must be loopback. The simulator runs at " code { (ctx.url) } "." }
        }
    }
}

/// The app's id and keys.
fn keys(ctx: &Ctx, app: &App) -> Markup {
    html! {
        section .card aria-labelledby="h-keys" {
            h2 #h-keys { "Id and keys" }
            dl {
                dt { "App id" }
                dd { code #app-id { (app.app_id) } }
                dt { "App secret" }
                dd { "not shown; fingerprint " code { (crate::ids::fingerprint(&app.secret)) } }
                dt { "Webhook public key" }
                dd { pre tabindex="0" { (ctx.own_key.public_pem()) } }
            }
        }
    }
}

fn faults() -> Markup {
    let endpoints = [
        "oauth2_token",
        "token_info",
        "oauth_access",
        "bi_event",
        "app_instance",
        "install",
        "app_installer",
        "close_window",
        "other",
    ];
    let kinds = [
        ("500, empty", r#"{"kind":"status","status":500}"#),
        ("401, empty", r#"{"kind":"status","status":401}"#),
        ("400 invalid_grant", r#"{"kind":"refused","status":400,"error":"invalid_grant"}"#),
        ("401 invalid_client", r#"{"kind":"refused","status":401,"error":"invalid_client"}"#),
        (
            "403 page of a firewall",
            r#"{"kind":"status","status":403,"content_type":"text/html","body":"<html><title>Access denied</title></html>"}"#,
        ),
        ("429 without Retry-After", r#"{"kind":"rate_limited"}"#),
        ("429, Retry-After 2", r#"{"kind":"rate_limited","retry_after":2}"#),
        ("429, Retry-After as a date", r#"{"kind":"rate_limited","retry_after":2,"retry_after_date":true}"#),
        ("delay of 3 seconds", r#"{"kind":"delay","delay_ms":3000}"#),
        ("delay of 20 seconds", r#"{"kind":"delay","delay_ms":20000}"#),
        ("connection cut", r#"{"kind":"cut"}"#),
        ("connection cut after the call took effect", r#"{"kind":"cut","processed":true}"#),
        ("connection cut in the body", r#"{"kind":"cut_body"}"#),
        ("malformed JSON", r#"{"kind":"malformed_json"}"#),
        ("wrong types", r#"{"kind":"wrong_types"}"#),
        ("no refresh_token", r#"{"kind":"drop_field","field":"refresh_token"}"#),
        ("no expires_in", r#"{"kind":"drop_field","field":"expires_in"}"#),
    ];
    html! {
        section .card aria-labelledby="h-faults" {
            h2 #h-faults { "Add a fault" }
            form .inline #fault {
                label for="fault-endpoint" { "Endpoint" }
                select #fault-endpoint { @for name in endpoints { option { (name) } } }
                label for="fault-kind" { "Fault" }
                select #fault-kind { @for (name, json) in kinds { option value=(json) { (name) } } }
                label for="fault-times" { "Calls" }
                input #fault-times type="number" min="1" value="1";
                button type="submit" { "Add" }
                button type="button" data-delete="/_sim/faults" data-done="All faults removed." { "Remove all" }
            }
        }
    }
}

/// The values of an enumerated switch.
fn choices(name: &str) -> &'static [&'static str] {
    match name {
        "app_answer" => &["200", "410", "500", "503", "timeout"],
        "webhook_order" => &["parallel", "before_redirect", "after_redirect"],
        "cancel_answer" => &["stay", "redirect_bare", "redirect_error"],
        "webhook_iat_clock" => &["wall", "simulated"],
        "webhook_retry_signature" => &["identical", "fresh_iat"],
        _ => &[],
    }
}

/// Every switch with its meaning from the README, but for the one that has a form of its own.
fn switch_editor(switches: &serde_json::Value) -> Markup {
    html! {
        section .card aria-labelledby="h-switches" {
            details {
                summary { h2 #h-switches { "Switches" } }
                p .hint { "Behaviours that Wix does not specify, or on which sources disagree. Numbers in brackets are sections of docs/wix.md." }
                form data-patch="/_sim/switches" data-done="Switches set." {
                    div .switches {
                        @for (name, meaning) in described().filter(|(name, _)| *name != "app_answer") { (switch(name, meaning, switches.get(name))) }
                    }
                    div .actions { button .primary type="submit" { "Set switches" } }
                }
            }
        }
    }
}

fn switch(name: &str, meaning: &str, value: Option<&serde_json::Value>) -> Markup {
    use serde_json::Value;
    html! {
        div .switch {
            label for={ "s-" (name) } { code { (name) } }
            @match (value, choices(name)) {
                (Some(Value::Bool(on)), _) => input #{ "s-" (name) } type="checkbox" name=(name) checked[*on];,
                (Some(Value::Number(number)), _) => input #{ "s-" (name) } type="number" step="any" name=(name) value=(number);,
                (Some(Value::Array(numbers)), _) => input #{ "s-" (name) } name=(name) data-kind="numbers"
                    value=(numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "));,
                (Some(Value::String(text)), []) => input #{ "s-" (name) } name=(name) value=(text);,
                (Some(Value::String(text)), words) => select #{ "s-" (name) } name=(name) {
                    @for word in words { option selected[word == text] { (word) } }
                },
                _ => {},
            }
            p { (meaning.replace('`', "")) }
        }
    }
}

/// The name and meaning of each switch, from the table in the README.
fn described() -> impl Iterator<Item = (&'static str, &'static str)> {
    let table = include_str!("../../README.md").split("### Switches").nth(1).unwrap_or_default();
    table.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| `")?.splitn(3, " | ");
        let name = cells.next()?.strip_suffix('`')?;
        Some((name, cells.nth(1)?.trim_end_matches('|').trim()))
    })
}

#[cfg(test)]
mod tests;
