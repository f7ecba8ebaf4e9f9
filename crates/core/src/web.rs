//! Requests, responses and errors of HTTP. The only module that knows statuses; it knows no address.
//!
//! It is not called `http`, because that is the name of the crate whose `Method` and `StatusCode` it uses.

mod api_key;
mod auth;
mod call;
mod error;
mod flow;
mod owner;
mod page;
mod platform;
mod reply;
mod request;
mod texts;

pub use api_key::{ApiKey, Scope};
pub use auth::{authorize, sign_in, sign_out};
pub use call::{Call, Settings};
pub use error::{Error, Notice};
pub use flow::{begin, failed, next_page, origin, returned};
pub use owner::View;
pub use page::home;
pub use platform::{BodyError, InFlight, Platform, Requests};
pub use reply::{Audience, Body, Outcome, Reply};
pub use request::{Request, is_localhost};
pub use texts::preferred;

#[cfg(test)]
pub use flow::network;
#[cfg(test)]
pub use reply::Problem;
