//! The use cases: what the Worker does for an installation. They know Wix and the store, but neither HTTP nor addresses.

mod ask;
mod cache;
mod compare;
mod context;
mod erase;
mod error;
mod event;
mod events;
mod exchange;
mod external;
mod forward;
mod grant;
mod handoff;
mod identity;
mod import;
mod objects;
mod own_token;
mod plugin;
mod rate;
mod reconcile;
mod reconciliation;
mod registry;
mod report;
mod send_event;
mod setup;
mod statistics;
mod token;

pub use ask::ask_if_in_question;
pub use cache::Cache;
pub use context::{Context, OwnObject, Ports, Settings, Work};
pub use erase::erase;
pub use error::InstanceError;
pub use event::{FollowUp, accept_event};
pub use events::{list_events, list_parked, redeliver, redeliver_parked, send_test_event};
pub use exchange::{Connected, exchange};
pub use external::{finish_external, prove_external};
pub use forward::{Call, ForwardOutcome, forward};
pub use grant::COOL_DOWN;
#[cfg(test)]
pub use handoff::Handoff;
pub use handoff::{hand_over, take_over};
#[cfg(test)]
pub use identity::Identity;
pub use identity::{of_signed_instance, of_token};
pub use import::{IMPORTS_BY_OBJECTS, IMPORTS_BY_WORKER, ImportOutcome, LINE_LIMIT, Line, import};
pub use objects::{
    HasWorker, ObjectPlatform, compare_due, import_object, list_object, redeliver_next, report_statistics,
};
pub use own_token::{TokenRequest, answer_issued, answer_token};
pub use plugin::forward_plugin_call;
pub use rate::answer_permits;
pub use reconcile::{Reconciled, reconcile};
pub use reconciliation::{checked, compare_slice, next_run_by, reconciliation};
pub use registry::installed;
pub use send_event::send_event;
pub use setup::finish_configuration;
pub use statistics::statistics;
pub use token::fresh_token;
