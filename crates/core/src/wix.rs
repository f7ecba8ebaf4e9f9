//! Wix's side: the requests that Wix receives, the messages that Wix signs, and how to judge its responses. Every form
//! cites its section of docs/wix.md.

mod app_instance;
pub mod bi_event;
mod client;
pub mod event;
mod evidence;
pub mod jws;
pub mod links;
pub mod plugin;
mod port;
mod settings;
pub mod signed_instance;
mod token;
mod token_info;

pub use app_instance::AppInstance;
pub use bi_event::{BiEvent, BiEventError, EventName};
pub use client::{DEADLINE_MILLIS, Wix, WixError};
pub use event::{Event, EventError, Message};
pub use jws::{HeldJws, JwsError, JwsLimits};
pub use plugin::PluginCall;
pub use port::{Body, Fetch, Forward, Forwarded, Outbound, Response, SendError};
pub use settings::Settings;
pub use signed_instance::SignedInstance;
pub use token::{Grant, Token, is_token};
pub use token_info::{Subject, SubjectType, TokenInfo};

/// A value does not prove what it must prove. The reason quotes nothing of the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unproven(pub &'static str);
