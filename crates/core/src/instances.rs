//! The use cases: what the Worker does for an installation. They know Wix and the store, but neither HTTP nor addresses.

mod cache;
mod context;
mod error;
mod event;
mod exchange;
mod external;
mod forward;
mod grant;
mod identity;
mod reconcile;
mod registry;
mod send_event;
mod setup;
mod token;

pub use cache::Cache;
pub use context::{Context, Ports, Settings, Work};
pub use error::InstanceError;
pub use event::{FollowUp, accept_event};
pub use exchange::exchange;
pub use external::{finish_external, prove_external};
pub use forward::{Call, ForwardOutcome, forward};
pub use grant::COOL_DOWN;
#[cfg(test)]
pub use identity::Identity;
pub use identity::{of_signed_instance, of_token};
pub use reconcile::reconcile;
pub use registry::installed;
pub use send_event::send_event;
pub use setup::finish_configuration;
pub use token::fresh_token;
