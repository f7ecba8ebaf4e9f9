//! Work without a caller: deferred tasks after a response, and the Cron Trigger's rechecks.

mod cron;
mod task;

pub use cron::{reconcile_slice, run_rechecks};
pub use task::Task;
