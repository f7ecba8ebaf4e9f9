//! Deferred tasks: work that a request leaves for after its response.

use crate::facts::SetupPolicy;
use crate::instances::{Context, FollowUp, InstanceError, Ports, finish_configuration, reconcile};
use crate::values::InstanceId;

/// A deferred task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Task {
    /// Send `APP_FINISHED_CONFIGURATION` for a new installation.
    FinishConfiguration(InstanceId),
    /// Reconcile an instance.
    Reconcile(InstanceId),
}

impl Task {
    /// The task after an installation.
    #[must_use]
    pub fn after_install(policy: SetupPolicy, id: InstanceId) -> Self {
        match policy {
            SetupPolicy::OnInstall => Self::FinishConfiguration(id),
            SetupPolicy::OnRequest | SetupPolicy::Never => Self::Reconcile(id),
        }
    }

    /// The task after an event, if one is needed.
    #[must_use]
    pub fn after_event(follow_up: FollowUp, id: Option<InstanceId>) -> Option<Self> {
        match follow_up {
            FollowUp::Nothing => None,
            FollowUp::Reconcile => id.map(Self::Reconcile),
            FollowUp::Setup => id.map(Self::FinishConfiguration),
        }
    }

    /// The name in the log.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::FinishConfiguration(_) => "task finish-configuration",
            Self::Reconcile(_) => "task settle",
        }
    }

    /// The instance.
    #[must_use]
    pub fn instance(&self) -> &InstanceId {
        match self {
            Self::FinishConfiguration(id) | Self::Reconcile(id) => id,
        }
    }

    /// Runs the task.
    pub async fn run<P: Ports>(&self, cx: &Context<'_, P>) -> Result<(), InstanceError> {
        match self {
            Self::FinishConfiguration(id) => {
                cx.note(reconcile_and_report(cx, id).await);
                finish_configuration(cx, id).await.map(|_| ())
            }
            Self::Reconcile(id) => reconcile_and_report(cx, id).await,
        }
    }
}

async fn reconcile_and_report<P: Ports>(cx: &Context<'_, P>, id: &InstanceId) -> Result<(), InstanceError> {
    reconcile(cx, id).await?.map_or(Ok(()), |reconciled| reconciled.reported)
}
