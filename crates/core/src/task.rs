//! What a handler hands back: the answer, and what is to be done once it is on its way.

use crate::App;
use crate::error::Error;
use crate::finish;
use crate::id::InstanceId;
use crate::platform::Platform;
use crate::reply::Reply;

/// The end of a request.
pub struct Outcome {
    /// What goes back.
    pub reply: Reply,
    /// What is done afterwards, in order.
    pub tasks: Vec<Task>,
}

impl From<Reply> for Outcome {
    fn from(reply: Reply) -> Self {
        Self { reply, tasks: Vec::new() }
    }
}

/// Work that the caller need not wait for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Task {
    /// Send `APP_FINISHED_CONFIGURATION` for a new installation.
    FinishConfiguration(InstanceId),
    /// Remove the keys of facts that no longer count.
    DropFacts(Vec<String>),
}

impl Task {
    /// Whether there is anything to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::DropFacts(keys) if keys.is_empty())
    }

    /// The name under which it is logged.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::FinishConfiguration(_) => "task finish-configuration",
            Self::DropFacts(_) => "task drop-facts",
        }
    }

    pub(crate) async fn run<P: Platform>(self, app: &App<P>) -> Result<(), Error> {
        match self {
            Self::FinishConfiguration(id) => {
                app.trace.instance(&id);
                finish::finish_configuration(app, &id).await.map(|_| ())
            }
            Self::DropFacts(keys) => app.kv().drop_facts(&keys).await,
        }
    }
}
