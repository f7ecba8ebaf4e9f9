//! The pages of Wix's installer: consent, errors, the end of an install, close-window (sections 3.2 and 3.3).

use std::collections::HashMap;

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, LOCATION};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use url::Url;

use super::document;
use crate::world::{CloseVisit, World};

/// The parameters that the consent form repeats in hidden fields.
const CARRIED: [&str; 6] = ["appId", "redirectUrl", "state", "token", "postInstallationUrl", "shareUrlId"];

/// A 302 response.
pub(crate) fn redirect(target: &Url) -> Response {
    let mut response = Response::new(Body::empty());
    match HeaderValue::from_str(target.as_str()) {
        Ok(value) => {
            *response.status_mut() = StatusCode::FOUND;
            response.headers_mut().insert(LOCATION, value);
            response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            response
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn card(body: &Markup) -> Markup {
    html! {
        main .installer {
            p .brand { "Wix" span .badge { "simulated" } }
            (body)
        }
    }
}

/// The consent page.
pub(crate) fn consent(
    world: &World,
    query: &HashMap<String, String>,
    site_id: Option<&str>,
    external: bool,
) -> Response {
    let named = site_id.and_then(|id| world.sites.get(id));
    let body = html! {
        h1 { "Add " (world.app.name) " to your site" }
        p .muted { "App " code { (world.app.app_id) } }
        form method="post" action="/installer/consent" {
            @for name in CARRIED {
                @if let Some(value) = query.get(name) { input type="hidden" name=(name) value=(value); }
            }
            @if external { input type="hidden" name="flow" value="external"; }
            @if let Some(site) = named {
                p { "Site: " strong { (site.name) } }
            } @else {
                label for="site_id" { "Site" }
                select #site_id name="site_id" {
                    option value="new" { "A new site" }
                    @for site in world.sites.values() {
                        option value=(site.site_id) { (site.name) @if installed(world, &site.site_id) { " (has the app)" } }
                    }
                }
            }
            p { "This app will be able to:" }
            ul {
                li { "Read site, business, and email details" }
                li { "Manage your app: read its installation and report events" }
            }
            div .actions {
                button .primary type="submit" name="decision" value="agree" { "Agree & Add" }
                button type="submit" name="decision" value="cancel" { "Cancel" }
            }
        }
    };
    document(StatusCode::OK, "Add app", None, &card(&body))
}

fn installed(world: &World, site_id: &str) -> bool {
    world.instance_of_site(site_id).is_some_and(|instance| world.installed(&instance.instance_id))
}

/// The installer's error page.
pub(crate) fn problem(heading: &str, detail: &str) -> Response {
    let body = html! {
        h1 { (heading) }
        p { (detail) }
    };
    document(StatusCode::BAD_REQUEST, heading, None, &card(&body))
}

/// The page after Cancel.
pub(crate) fn cancelled() -> Response {
    let body = html! {
        h1 { "Nothing was installed" }
        p { "You can close this window." }
    };
    document(StatusCode::OK, "Cancelled", None, &card(&body))
}

/// The page after an install without a callback.
pub(crate) fn installed_page() -> Response {
    let body = html! {
        h1 { "The app was added" }
        p { "You can close this window." }
    };
    document(StatusCode::OK, "Added", None, &card(&body))
}

/// The close-window page. Its script reports whether its opener is reachable, and closes the window.
pub(crate) fn close_window(visit: &CloseVisit) -> Response {
    let body = html! {
        h1 { @if visit.token_live { "The app was added" } @else { "The access token is not valid" } }
        @if !visit.token_live {
            p .bad role="alert" { "close-window needs a live access token in the parameter access_token." }
        }
        p #close-note role="status" data-visit=(visit.id) data-key=(visit.report_key) { "Closing this window…" }
        noscript { p { "This window cannot close itself without JavaScript." } }
    };
    document(StatusCode::OK, "Close window", Some("/assets/close.js"), &card(&body))
}
