//! The Worker's side: requests to the object of an installation.

use std::time::Duration;

use futures::future::{Either, select};

use super::requests::ACCEPT;
use super::{Accepted, Event, Objects};
use crate::runtime::Clock;

/// The object did not do what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ObjectCallError {
    /// It failed, or could not be reached.
    #[error("the object of the installation: {0}")]
    Failed(String),
    /// It did not answer in time.
    #[error("the object of the installation took longer than {after_ms} ms")]
    TimedOut {
        /// The time that was left.
        after_ms: u64,
    },
}

/// Sends a request to the object of this name, until `deadline` in Unix milliseconds. Returns status and text. A failed call is
/// repeated once, and only if the runtime says that it may be: an overloaded object must not be called again.
pub async fn ask<P: Objects + Clock>(
    platform: &P,
    name: &str,
    path: &str,
    body: &str,
    deadline: u64,
) -> Result<(u16, String), ObjectCallError> {
    let after_ms = deadline.saturating_sub(platform.now_millis());
    let ask = async {
        match platform.ask_object(name, path, body).await {
            Err(error) if error.is_retryable => platform.ask_object(name, path, body).await,
            answer => answer,
        }
    };
    let ask = std::pin::pin!(ask);
    let timeout = std::pin::pin!(platform.sleep(Duration::from_millis(after_ms)));
    match select(ask, timeout).await {
        Either::Left((Ok(answer), _)) => Ok(answer),
        Either::Left((Err(error), _)) => Err(ObjectCallError::Failed(error.text)),
        Either::Right(_) => Err(ObjectCallError::TimedOut { after_ms }),
    }
}

/// The same for a request that must be answered 200. Returns the text.
pub async fn command<P: Objects + Clock>(
    platform: &P,
    name: &str,
    path: &str,
    body: &str,
    deadline: u64,
) -> Result<String, ObjectCallError> {
    match ask(platform, name, path, body, deadline).await? {
        (200, text) => Ok(text),
        (status, _) => Err(ObjectCallError::Failed(format!("it answered {status}"))),
    }
}

/// Passes an event to the object of this name.
pub async fn submit<P: Objects + Clock>(
    platform: &P,
    name: &str,
    event: &Event,
    deadline: u64,
) -> Result<Accepted, ObjectCallError> {
    let message = event.to_message(name);
    let message = message.ok_or_else(|| ObjectCallError::Failed("the event cannot be written".to_owned()))?;
    let text = command(platform, name, ACCEPT, &message, deadline).await?;
    Accepted::parse(&text).ok_or_else(|| ObjectCallError::Failed("its answer has another form".to_owned()))
}
