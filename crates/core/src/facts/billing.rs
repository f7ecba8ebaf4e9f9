//! What the site has: its plan, folded from Wix's events and from its answers to Get App Instance (docs/wix.md, 5 and 7).
//!
//! No event tells that a period ended or was renewed. Get App Instance does, so that Wix is asked when a known end has passed.

use super::fold::latest_of;
use super::{Billing, Fact, Instance, Kind, Name, Status};
use crate::values::Timestamp;

/// The plan of a site.
#[derive(Default)]
pub(super) struct Bill {
    pub plan: Option<String>,
    pub is_free: Option<bool>,
    pub billing: Billing,
}

impl Bill {
    /// The facts that it is folded from, the latest of each in the present installation. In the same second the later entry
    /// counts: events replace an answer, and a cancellation is of the plan.
    pub(super) const NAMES: [Name; 4] = [Name::Billed, Name::Plan, Name::Cancelled, Name::BillingChanged];

    /// Folds the latest facts of these names.
    pub(super) fn fold(facts: [Option<&Fact>; 4]) -> Self {
        let mut facts: Vec<&Fact> = facts.into_iter().flatten().collect();
        let mut bill = Self::default();
        // In place of a sort, which would be 3 kB of wasm for a list of four.
        while let Some((at, _)) = facts.iter().enumerate().min_by_key(|(_, fact)| fact.at) {
            bill = bill.after(facts.remove(at));
        }
        bill
    }

    fn after(self, fact: &Fact) -> Self {
        match &fact.kind {
            Kind::Plan { plan, cycle, expires_at, auto_renewing } => Self {
                plan: Some(plan.clone()),
                is_free: Some(false),
                billing: Billing {
                    cycle: cycle.clone(),
                    expires_at: *expires_at,
                    auto_renewing: *auto_renewing,
                    trial_ends_at: None,
                    checked_at: None,
                },
            },
            // The owner keeps the plan until its period ends.
            Kind::Cancelled { plan, cycle } => {
                let is_known = plan.is_none() || *plan == self.plan;
                let known = if is_known { self.billing } else { Billing::default() };
                let plan = plan.clone().or(self.plan);
                Self {
                    is_free: if plan.is_some() { Some(false) } else { self.is_free },
                    plan,
                    billing: Billing { cycle: cycle.clone().or(known.cycle), auto_renewing: Some(false), ..known },
                }
            }
            Kind::Billed { is_free: true, .. } => Self { is_free: Some(true), ..Self::default() },
            Kind::Billed { plan, cycle, expires_at, auto_renewing, trial_ends_at, .. } => {
                let is_known = plan.is_none() || *plan == self.plan;
                let known = if is_known { self.billing } else { Billing::default() };
                // Wix names the end of long periods only. An end that had passed when Wix answered is none: a payment failed, and
                // Wix lets the owner keep the plan.
                let to_come = |end: &Timestamp| *end > fact.at;
                Self {
                    plan: plan.clone().or(self.plan),
                    is_free: Some(false),
                    billing: Billing {
                        cycle: cycle.clone().or(known.cycle),
                        expires_at: expires_at.or(known.expires_at).filter(to_come),
                        auto_renewing: auto_renewing.or(known.auto_renewing),
                        trial_ends_at: trial_ends_at.filter(to_come),
                        checked_at: None,
                    },
                }
            }
            // The site may have bought a plan.
            Kind::BillingChanged => Self { is_free: self.is_free.filter(|is_free| !is_free), ..self },
            _ => self,
        }
    }
}

/// Whether Wix must be asked what the site has: nothing is known of this installation, something happened since Wix was asked
/// last, or a known end has passed.
#[must_use]
pub fn is_in_question(instance: &Instance, facts: &[Fact], now: Timestamp) -> bool {
    use Name::{Billed, BillingChanged, Cancelled, Connected, Created, Installed, Joined, Plan, Removed};
    let latest = |names: &[Name]| latest_of(facts, names);
    let asked = latest(&[Billed]).filter(|asked| Some(*asked) >= latest(&[Removed]));
    let changed = latest(&[Installed, Created, Connected, Joined, Plan, Cancelled, BillingChanged]);
    matches!(instance.status, Status::Installed | Status::Pending)
        && (asked.is_none() || asked <= changed || instance.next_end().is_some_and(|end| end <= now))
}
