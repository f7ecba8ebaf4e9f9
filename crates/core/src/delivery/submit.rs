//! The Worker's side: passes an event to the object of its installation.

use std::time::Duration;

use futures::future::{Either, select};

use super::{ACCEPT, Accepted, Event, Objects};
use crate::runtime::Clock;

/// The object did not say that it stores the event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
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

/// Passes an event to the object of this name, until `deadline` in Unix milliseconds. A failed call is repeated once, and only
/// if the runtime says that it may be: an overloaded object must not be called again.
pub async fn submit<P: Objects + Clock>(
    platform: &P,
    name: &str,
    event: &Event,
    deadline: u64,
) -> Result<Accepted, SubmitError> {
    let message = event.to_message().ok_or_else(|| SubmitError::Failed("the event cannot be written".to_owned()))?;
    let after_ms = deadline.saturating_sub(platform.now_millis());
    let ask = async {
        match platform.ask_object(name, ACCEPT, &message).await {
            Err(error) if error.is_retryable => platform.ask_object(name, ACCEPT, &message).await,
            answer => answer,
        }
    };
    let ask = std::pin::pin!(ask);
    let timeout = std::pin::pin!(platform.sleep(Duration::from_millis(after_ms)));
    match select(ask, timeout).await {
        Either::Left((Ok((200, text)), _)) => {
            Accepted::parse(&text).ok_or_else(|| SubmitError::Failed("its answer has another form".to_owned()))
        }
        Either::Left((Ok((status, _)), _)) => Err(SubmitError::Failed(format!("it answered {status}"))),
        Either::Left((Err(error), _)) => Err(SubmitError::Failed(error.text)),
        Either::Right(_) => Err(SubmitError::TimedOut { after_ms }),
    }
}
