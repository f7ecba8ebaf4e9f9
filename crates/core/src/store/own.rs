//! What the object of an installation keeps itself, in place of KV.

use crate::facts::Instance;
use crate::runtime::PlatformError;

/// A sealed token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SealedToken {
    /// The access token.
    Access,
    /// The refresh token, of which KV has the original.
    Refresh,
}

/// The record of the installation in whose object the code runs. A store that has it reads the instance and the tokens
/// here: all requests for the installation pass through the object, so that none of them is stale.
pub trait OwnRecord {
    /// The instance. `None` before the object was given facts.
    fn instance(&self) -> Result<Option<Instance>, PlatformError>;
    /// A sealed token.
    fn token(&self, token: SealedToken) -> Result<Option<String>, PlatformError>;
    /// Stores a sealed token, or erases it.
    fn set_token(&self, token: SealedToken, envelope: Option<&str>) -> Result<(), PlatformError>;
    /// Whether KV shows everywhere what the last flow of the installation stored, so that it may be copied.
    fn is_settled(&self) -> Result<bool, PlatformError>;
}
