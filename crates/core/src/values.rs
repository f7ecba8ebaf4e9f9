//! Values without behaviour of their own: ids, times, secrets, and the forms that JSON may take. Uses no other module.

mod fault;
mod id;
pub mod json;
mod reference;
mod secret;
mod time;

pub use fault::Fault;
pub use id::{AppId, InstanceId, RequestId, SiteId};
pub use reference::Ref;
pub use secret::{
    AccessToken, AppSecret, AuthorizationCode, HandoffValue, Key32, RefreshToken, SignedValue, SigningSecret,
};
pub use time::{CLOCK_SKEW, Timestamp, retry_after};
