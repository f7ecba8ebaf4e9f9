//! Wix's endpoints. One origin serves both hosts, since their paths do not collide (section 13.2).

mod api;
mod app_installer;
mod bi_event;
mod close_window;
mod error;
mod gate;
mod install;
mod oauth2_token;
mod oauth_access;
mod token_info;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{any, get, post};

pub(crate) use close_window::{Report as CloseWindowReport, report as close_window_report};

use crate::shared::Ctx;

/// The routes. The middleware `gate` records each call and applies faults.
pub(crate) fn routes(ctx: &Ctx) -> Router<Ctx> {
    Router::new()
        .route("/oauth2/token", post(oauth2_token::handle).fallback(oauth2_token::wrong_method))
        .route("/oauth2/token-info", post(token_info::handle).fallback(oauth2_token::wrong_method))
        .route("/oauth/access", post(oauth_access::handle).fallback(oauth2_token::wrong_method))
        .route("/oauth/access/", post(oauth_access::handle).fallback(oauth2_token::wrong_method))
        .route("/apps/v1/bi-event", post(bi_event::handle))
        .route("/apps/v1/instance", get(api::app_instance))
        .route("/stores/v1/products/query", post(api::products))
        .route("/installer/install", get(install::page))
        .route("/installer/consent", post(install::consent))
        .route("/app-installer", get(app_installer::page))
        .route("/installer/close-window", get(close_window::page))
        .fallback(any(api::other))
        .layer(from_fn_with_state(ctx.clone(), gate::intercept))
}
