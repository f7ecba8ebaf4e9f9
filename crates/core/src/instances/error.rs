//! Why a use case failed.

use crate::delivery::ObjectCallError;
use crate::runtime::{PlatformError, TimedOut};
use crate::store::StoreError;
use crate::wix::WixError;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InstanceError {
    /// There is no record of the instance.
    #[error("the instance is unknown")]
    Unknown,
    /// The app was removed from the site.
    #[error("the app was removed")]
    Removed,
    /// Wix permanently refuses tokens for the instance.
    #[error("Wix refuses tokens for the instance")]
    NeedsReconnect,
    /// Wix refused the code with this status, or an earlier code of the same flow.
    #[error("Wix refused the code")]
    CodeRefused(Option<u16>),
    /// Wix's answer does not prove the instance that the browser named.
    #[error("{0}")]
    NotProven(&'static str),
    /// A value does not prove an identity.
    #[error("{0}")]
    NotGenuine(&'static str),
    /// `FINISH_CONFIGURATION` is `never`.
    #[error("APP_FINISHED_CONFIGURATION is disabled")]
    SetupDisabled,
    /// The setup event was sent, and the fact of it is not stored.
    #[error("that the event was sent is not noted")]
    SetupNotRecorded,
    /// The installation has used up its calls to Wix (`WIX_RATE_LIMIT`).
    #[error("the installation has used up its calls to Wix")]
    RateLimited {
        /// For how many seconds there is none.
        wait_seconds: u64,
    },
    /// Wix refused the BI event.
    #[error("Wix refused the event")]
    EventRefused,
    /// Wix does not permit the app to send BI events.
    #[error("Wix does not permit the event")]
    EventNotPermitted,
    /// There is no such event.
    #[error("the event is unknown")]
    UnknownEvent,
    /// The content of the event was erased.
    #[error("the content of the event was erased")]
    ErasedEvent,
    /// There is no target for service plugin calls.
    #[error("no target for service plugin calls is set")]
    NoPluginTarget,
    /// The app's back end did not answer a service plugin call with JSON.
    #[error("the target of service plugin calls: {0}")]
    PluginFailed(&'static str),
    /// The app's back end did not answer a service plugin call in time.
    #[error("the target of service plugin calls did not answer in time")]
    PluginTimeout,
    /// Wix installed the app, and the result could not be stored.
    #[error("{0}")]
    NotStored(StoreError),
    /// A record could not be read or written.
    #[error(transparent)]
    Store(StoreError),
    /// The object of an installation did not do what it was asked for.
    #[error(transparent)]
    Object(#[from] ObjectCallError),
    /// A call to Wix failed.
    #[error(transparent)]
    Wix(#[from] WixError),
    /// The platform failed.
    #[error(transparent)]
    Platform(#[from] PlatformError),
}

impl InstanceError {
    /// The code, for programs and for the log.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unknown => "unknown_instance",
            Self::Removed => "removed_instance",
            Self::NeedsReconnect => "needs_reconnect",
            Self::CodeRefused(_) => "code_refused",
            Self::NotProven(_) => "instance_not_proven",
            Self::NotGenuine(_) => "not_genuine",
            Self::SetupDisabled => "finish_configuration_disabled",
            Self::RateLimited { .. } => "wix_rate_limit",
            Self::EventRefused => "event_refused",
            Self::EventNotPermitted => "event_not_permitted",
            Self::UnknownEvent => "unknown_event",
            Self::ErasedEvent => "erased_event",
            Self::NoPluginTarget => "no_plugin_target",
            Self::PluginFailed(_) => "plugin_target_failed",
            Self::PluginTimeout => "plugin_target_timeout",
            Self::NotStored(_) => "install_not_stored",
            Self::Store(StoreError::NotJson | StoreError::Platform(_)) | Self::Platform(_) => "internal",
            Self::Store(_) | Self::Object(_) | Self::SetupNotRecorded => "store_failed",
            Self::Wix(WixError::CredentialsRefused(_)) => "app_credentials_refused",
            Self::Wix(WixError::Deadline) => "wix_timeout",
            Self::Wix(_) => "wix_failed",
        }
    }

    /// The cause, which only the log shows.
    #[must_use]
    pub fn cause(&self) -> Option<String> {
        match self {
            Self::CodeRefused(Some(status)) => Some(format!("Wix answered {status}")),
            Self::CodeRefused(None) => {
                Some("the code of this flow was used or refused before, and Wix was not asked".to_owned())
            }
            Self::NotProven(_)
            | Self::NotGenuine(_)
            | Self::SetupNotRecorded
            | Self::PluginFailed(_)
            | Self::NotStored(_)
            | Self::Store(_)
            | Self::Object(_)
            | Self::Platform(_) => Some(self.to_string()),
            Self::Wix(error) => (*error != WixError::Deadline).then(|| error.to_string()),
            Self::Unknown
            | Self::Removed
            | Self::NeedsReconnect
            | Self::SetupDisabled
            | Self::RateLimited { .. }
            | Self::EventRefused
            | Self::EventNotPermitted
            | Self::UnknownEvent
            | Self::ErasedEvent
            | Self::NoPluginTarget
            | Self::PluginTimeout => None,
        }
    }
}

impl From<StoreError> for InstanceError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NoFacts => Self::Unknown,
            error => Self::Store(error),
        }
    }
}

impl From<TimedOut> for InstanceError {
    fn from(_: TimedOut) -> Self {
        WixError::Deadline.into()
    }
}
