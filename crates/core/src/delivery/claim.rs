//! The object says who is the first to use the hand-over of a flow.

use super::about::About;
use super::{AcceptError, Installation, MessageError, ObjectPorts};
use crate::values::Timestamp;

/// The message to the object. Neither text has a space.
pub struct Claim<'a> {
    /// The name of the flow.
    pub flow: &'a str,
    /// Who claims it. The same claimant may ask again.
    pub by: &'a str,
    /// Until when the claim must be remembered.
    pub until: Timestamp,
}

impl<'a> Claim<'a> {
    /// The text for the object.
    #[must_use]
    pub fn to_message(&self) -> String {
        format!("{} {} {}", self.flow, self.by, self.until.0)
    }

    fn from_message(message: &'a str) -> Result<Self, MessageError> {
        let parts: Vec<&str> = message.split(' ').collect();
        let [flow, by, until] = parts[..] else { return Err(MessageError) };
        Ok(Self { flow, by, until: until.parse().map(Timestamp).map_err(|_| MessageError)? })
    }
}

impl<P: ObjectPorts> Installation<'_, P> {
    /// Whether the claimant is the first. Nothing is awaited, so that of two claims the object sees one before the other.
    pub fn claim(&self, message: &str) -> Result<bool, AcceptError> {
        let Claim { flow, by, until } = Claim::from_message(message)?;
        let about = About::open(self.ports)?;
        about.forget_claims(self.time())?;
        let claimant = about.claimant(flow)?;
        if claimant.is_none() {
            about.set_claim(flow, by, until)?;
        }
        Ok(claimant.is_none_or(|claimant| claimant == by))
    }
}
