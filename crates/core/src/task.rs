//! What a handler hands back: the answer, and what is to be done once it is on its way.

use crate::App;
use crate::config::{Config, FinishConfiguration};
use crate::doubt;
use crate::error::Error;
use crate::finish;
use crate::id::InstanceId;
use crate::platform::Platform;
use crate::reply::Reply;

/// The end of a request.
pub struct Outcome<S> {
    /// What goes back.
    pub reply: Reply,
    /// What is done afterwards.
    pub task: Option<Task>,
    /// A body that goes back unread, in place of the reply's own.
    pub stream: Option<S>,
}

impl<S> From<Reply> for Outcome<S> {
    fn from(reply: Reply) -> Self {
        Self { reply, task: None, stream: None }
    }
}

impl<S> Outcome<S> {
    /// The same, with work to be done afterwards.
    #[must_use]
    pub fn with_task(self, task: Task) -> Self {
        Self { task: Some(task), ..self }
    }
}

/// Work that the caller need not wait for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Task {
    /// Send `APP_FINISHED_CONFIGURATION` for a new installation.
    FinishConfiguration(InstanceId),
    /// See that the row of an instance agrees with its facts, and ask Wix where they contradict each other.
    Settle(InstanceId),
}

impl Task {
    /// What follows an installation.
    #[must_use]
    pub fn after_install(config: &Config, id: InstanceId) -> Self {
        match config.finish_configuration {
            FinishConfiguration::OnInstall => Self::FinishConfiguration(id),
            FinishConfiguration::OnRequest | FinishConfiguration::Never => Self::Settle(id),
        }
    }

    /// The name under which it is logged.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::FinishConfiguration(_) => "task finish-configuration",
            Self::Settle(_) => "task settle",
        }
    }

    /// Whose it is.
    #[must_use]
    pub fn instance(&self) -> &InstanceId {
        match self {
            Self::FinishConfiguration(id) | Self::Settle(id) => id,
        }
    }

    pub(crate) async fn run<P: Platform>(&self, app: &App<P>) -> Result<(), Error> {
        match self {
            Self::FinishConfiguration(id) => {
                app.note(doubt::settle(app, id).await);
                finish::finish_configuration(app, id).await.map(|_| ())
            }
            Self::Settle(id) => doubt::settle(app, id).await.map(|_| ()),
        }
    }
}
