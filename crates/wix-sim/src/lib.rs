//! The Wix app platform, simulated on loopback: tokens, installs, webhooks, BI events, and a control API.
//!
//! One simulator serves both of Wix's hosts, `https://www.wixapis.com` and `https://www.wix.com`: their paths do not
//! collide. It shares no code with the app under test, so a misunderstanding of Wix in one of them shows as a failed
//! test. Section numbers in comments refer to docs/wix.md. A switch selects each behaviour that Wix does not specify.
//!
//! ```no_run
//! # async fn demo() -> anyhow::Result<()> {
//! let sim = wix_sim::Sim::start(wix_sim::Settings::default()).await?;
//! println!("{} {}", sim.url(), sim.app().app_id);
//! # Ok(())
//! # }
//! ```

mod app_backend;
mod clock;
mod control;
mod faults;
mod fields;
mod ids;
mod installs;
mod jws;
mod keys;
mod line;
mod page;
mod plans;
mod plugin;
mod records;
mod settings;
mod shared;
mod signed_instance;
mod sim;
mod switches;
mod tokens;
mod webhook;
mod wix;
mod world;

pub use settings::Settings;
pub use sim::{AppCredentials, Sim};
