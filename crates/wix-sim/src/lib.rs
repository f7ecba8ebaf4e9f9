//! The Wix app platform, simulated on loopback: tokens, installs, webhooks, BI events, and a control API.
//!
//! One simulator stands for both of Wix's hosts, `https://www.wixapis.com` and `https://www.wix.com`; their paths do
//! not collide. It shares no code with the app that it is run beside, so that one misreading of Wix shows. Section
//! numbers in the documentation point to the facts about Wix that each rule follows; what Wix leaves open is a switch.
//!
//! ```no_run
//! # async fn demo() -> anyhow::Result<()> {
//! let sim = wix_sim::Sim::start(wix_sim::Settings::default()).await?;
//! println!("{} {}", sim.url(), sim.app().app_id);
//! # Ok(())
//! # }
//! ```

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
pub use sim::{AppFacts, Sim};
