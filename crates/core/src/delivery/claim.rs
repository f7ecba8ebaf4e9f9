//! The object says who is the first to use the hand-over of a flow.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::about::About;
use super::{AcceptError, Installation, MessageError, ObjectPorts};
use crate::values::Timestamp;

/// The message to the object.
#[derive(Serialize, Deserialize)]
pub struct Claim<'a> {
    /// The name of the flow.
    pub flow: Cow<'a, str>,
    /// Who claims it. The same claimant may ask again.
    pub by: Cow<'a, str>,
    /// Until when the claim must be remembered.
    pub until: Timestamp,
}

impl<P: ObjectPorts> Installation<'_, P> {
    /// Whether the claimant is the first. Nothing is awaited, so that of two claims the object sees one before the other.
    pub fn claim(&self, message: &str) -> Result<bool, AcceptError> {
        let claim: Claim<'_> = serde_json::from_str(message).map_err(|_| MessageError)?;
        let about = About::open(self.ports)?;
        about.forget_claims(self.time())?;
        let claimant = about.claimant(&claim.flow)?;
        if claimant.is_none() {
            about.set_claim(&claim.flow, &claim.by, claim.until)?;
        }
        Ok(claimant.is_none_or(|claimant| claimant == claim.by))
    }
}
