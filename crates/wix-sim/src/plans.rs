//! Paid plans, which end and renew themselves by the simulated clock (sections 5 and 7).

use serde_json::Value;

use crate::ids;
use crate::world::{Plan, World};

const DAY_MS: i64 = 86_400_000;

/// The events that tell of a plan.
pub(crate) fn is_plan_event(event_type: &str) -> bool {
    is_purchase(event_type) || event_type == "PaidPlanAutoRenewalCancelled"
}

fn is_purchase(event_type: &str) -> bool {
    matches!(
        event_type,
        "PaidPlanPurchased" | "PaidPlanChanged" | "PlanConvertedToPaid" | "PlanReactivated" | "PlanTransferred"
    )
}

impl Plan {
    /// The plan at a time; `None` if it has ended. No event tells of an end or a renewal.
    pub(crate) fn at(&self, now_ms: i64) -> Option<Self> {
        let mut plan = self.clone();
        let passed = |end: &Option<String>| end.as_deref().and_then(ids::parse_iso).filter(|end| *end <= now_ms);
        if passed(&plan.trial_ends_on).is_some() {
            if !plan.auto_renewing {
                return None;
            }
            plan.trial_ends_on = None;
        }
        while let Some(end) = passed(&plan.expires_on) {
            // The owner has a billing problem, and keeps the plan meanwhile.
            if plan.payment_failed {
                break;
            }
            let renewed = period_ms(&plan.cycle).filter(|_| plan.auto_renewing)?;
            plan.expires_on = Some(ids::iso(end + renewed));
        }
        Some(plan)
    }

    /// Whether Wix names the end of its period: only of yearly and longer cycles (section 7).
    pub(crate) fn shows_end(&self) -> bool {
        !matches!(self.cycle.as_str(), "MONTHLY" | "ONE_TIME" | "NO_CYCLE")
    }
}

fn period_ms(cycle: &str) -> Option<i64> {
    let days = match cycle {
        "MONTHLY" => 31,
        "YEARLY" => 365,
        "TWO_YEARS" => 2 * 365,
        "THREE_YEARS" => 3 * 365,
        "FOUR_YEARS" => 4 * 365,
        "FIVE_YEARS" => 5 * 365,
        _ => return None,
    };
    Some(days * DAY_MS)
}

/// Applies a plan event to the instance. Get App Instance shows the result.
pub(crate) fn apply(world: &mut World, instance_id: &str, event_type: &str, data: &str, now_ms: i64) {
    let Some(instance) = world.instances.get_mut(instance_id) else { return };
    let Ok(data) = serde_json::from_str::<Value>(data) else { return };
    let text = |name: &str| data.get(name).and_then(Value::as_str).map(str::to_owned);
    let known = instance.plan.as_ref().and_then(|plan| plan.at(now_ms));
    if is_purchase(event_type) {
        let known_of = |field: fn(&Plan) -> &String| known.as_ref().map(|plan| field(plan).clone()).unwrap_or_default();
        instance.plan = Some(Plan {
            vendor_product_id: text("vendorProductId").unwrap_or_else(|| known_of(|plan| &plan.vendor_product_id)),
            cycle: text("cycle").unwrap_or_else(|| known_of(|plan| &plan.cycle)),
            time_stamp: text("operationTimeStamp").unwrap_or_else(|| ids::iso(now_ms)),
            expires_on: text("expiresOn"),
            trial_ends_on: None,
            invoice_id: text("invoiceId"),
            auto_renewing: true,
            payment_failed: false,
        });
    } else if event_type == "PaidPlanAutoRenewalCancelled" {
        instance.plan = known.map(|plan| Plan { auto_renewing: false, ..plan });
    }
}

#[cfg(test)]
mod tests;
