//! The control API under `/_sim/`: shows the state, triggers actions, sets faults and switches.
//!
//! JSON, `snake_case`. It serves this machine only: it rejects a foreign `Origin` and a `Host` that is not loopback.

mod app;
mod app_deliveries;
mod guard;
mod input;
mod inspect;
mod instances;
mod messages;
mod plugins;
mod state;

use axum::Router;
use axum::routing::{get, post};

pub(crate) use app::Shown;
pub(crate) use guard::check;
pub(crate) use input::{Body, Refusal};
pub(crate) use state::{Snapshot, snapshot};

use crate::shared::Ctx;

/// The routes.
pub(crate) fn routes() -> Router<Ctx> {
    Router::new()
        .route("/_sim/app", get(app::show).patch(app::change))
        .route("/_sim/switches", get(app::switches).patch(app::change_switches))
        .route("/_sim/faults", get(app::faults).post(app::add_fault).delete(app::clear_faults))
        .route("/_sim/clock", get(app::clock).post(app::advance))
        .route("/_sim/reset", post(app::reset))
        .route("/_sim/state", get(state::show))
        .route("/_sim/calls", get(state::calls))
        .route("/_sim/app-records", get(state::records))
        .route("/_sim/close-window-reports", post(state::close_window_report))
        .route("/_sim/sites", get(instances::sites).post(instances::make_site))
        .route("/_sim/sites/{id}/delete", post(instances::delete_site))
        .route("/_sim/installs", post(instances::install))
        .route("/_sim/install-tokens", post(instances::install_token))
        .route("/_sim/instances/{id}", get(instances::show))
        .route("/_sim/instances/{id}/remove", post(instances::remove))
        .route("/_sim/instances/{id}/reinstall", post(instances::reinstall))
        .route("/_sim/instances/{id}/clone", post(instances::clone))
        .route("/_sim/instances/{id}/update", post(instances::update))
        .route("/_sim/instances/{id}/events", post(instances::event))
        .route("/_sim/instances/{id}/plan", post(instances::plan))
        .route("/_sim/events", post(messages::of_no_instance))
        .route("/_sim/codes", post(instances::code))
        .route("/_sim/tokens/expire", post(instances::expire_tokens))
        .route("/_sim/inspect-app-url", post(inspect::app_url))
        .route("/_sim/webhooks", post(messages::raw))
        .route("/_sim/test-webhook", post(messages::test))
        .route("/_sim/plugin-calls", post(plugins::call))
        .route("/_sim/signed-instance", post(messages::signed_instance))
        .route("/_sim/deliveries", get(messages::deliveries))
        .route("/_sim/app-deliveries", get(app_deliveries::list))
        .route("/_sim/deliveries/release", post(messages::release))
        .route("/_sim/{*rest}", axum::routing::any(async || Refusal::not_found("unknown control route")))
}
