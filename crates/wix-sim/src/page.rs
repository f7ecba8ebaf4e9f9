//! HTML pages: the simulator's own page, and the pages of Wix's installer.

mod home;
mod live;
mod webhooks;
pub(crate) mod wix_pages;

use axum::Router;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use maud::{DOCTYPE, Markup, html};

use crate::shared::Ctx;

/// Allows no foreign resource, inline script or frame. Sets no `form-action`: the consent form redirects to the app.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'";

/// The page and its assets.
pub(crate) fn routes() -> Router<Ctx> {
    Router::new()
        .route("/", get(home::page))
        .route("/assets/sim.css", get(|| async { asset("text/css; charset=utf-8", include_str!("../assets/sim.css")) }))
        .route(
            "/assets/sim.js",
            get(|| async { asset("text/javascript; charset=utf-8", include_str!("../assets/sim.js")) }),
        )
        .route(
            "/assets/close.js",
            get(|| async { asset("text/javascript; charset=utf-8", include_str!("../assets/close.js")) }),
        )
        .route("/favicon.ico", get(|| async { StatusCode::NO_CONTENT }))
}

fn asset(kind: &'static str, text: &'static str) -> Response {
    ([(CONTENT_TYPE, kind), (CACHE_CONTROL, "no-cache")], text).into_response()
}

/// A complete HTML document.
fn document(status: StatusCode, title: &str, script: Option<&str>, body: &Markup) -> Response {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                link rel="icon" href="data:,";
                link rel="stylesheet" href="/assets/sim.css";
                @if let Some(script) = script { script src=(script) defer {} }
            }
            body { (body) }
        }
    };
    let headers =
        [(CONTENT_TYPE, "text/html; charset=utf-8"), (CACHE_CONTROL, "no-store"), (CONTENT_SECURITY_POLICY, POLICY)];
    (status, headers, page.into_string()).into_response()
}
