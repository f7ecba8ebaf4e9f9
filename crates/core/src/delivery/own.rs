//! What the use cases find in the object in which they run.

use super::about::About;
use super::{Installation, ObjectPorts};
use crate::facts::{Fact, Instance, Name, fold, latest_of};
use crate::runtime::PlatformError;
use crate::store::{OwnRecord, RECHECK_AFTER, SealedToken};
use crate::values::InstanceId;

impl<P: ObjectPorts> OwnRecord for Installation<'_, P> {
    fn instance(&self) -> Result<Option<Instance>, PlatformError> {
        let about = About::open(self.ports)?;
        let (Some(name), Some(told)) = (about.name()?, about.told()?) else { return Ok(None) };
        Ok(InstanceId::parse(&name).ok().and_then(|id| fold(&id, &told.facts)))
    }

    fn token(&self, token: SealedToken) -> Result<Option<String>, PlatformError> {
        About::open(self.ports)?.token(token)
    }

    fn set_token(&self, token: SealedToken, envelope: Option<&str>) -> Result<(), PlatformError> {
        About::open(self.ports)?.set_token(token, envelope)
    }

    fn is_settled(&self) -> Result<bool, PlatformError> {
        let facts = About::open(self.ports)?.told()?.map_or_else(Vec::<Fact>::new, |told| told.facts);
        let changed = latest_of(&facts, &[Name::Connected, Name::Installed]);
        Ok(changed.is_none_or(|at| self.time().since(at) >= RECHECK_AFTER))
    }
}

impl<P: ObjectPorts> Installation<'_, P> {
    /// Erases the object if it knows nothing of an installation, not even its id. Returns whether it did.
    pub async fn erase_if_new(&self) -> Result<bool, PlatformError> {
        let is_new = About::open(self.ports)?.name()?.is_none();
        if is_new {
            self.erase().await?;
        }
        Ok(is_new)
    }

    /// Whether the object was given facts.
    pub fn is_told(&self) -> Result<bool, PlatformError> {
        Ok(About::open(self.ports)?.told()?.is_some())
    }
}
