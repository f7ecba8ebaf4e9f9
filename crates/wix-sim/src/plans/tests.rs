use super::*;

const NOW: i64 = 1_767_225_600_000;

fn plan(cycle: &str, expires_in_ms: Option<i64>) -> Plan {
    Plan {
        vendor_product_id: "pro".to_owned(),
        cycle: cycle.to_owned(),
        time_stamp: ids::iso(NOW),
        expires_on: expires_in_ms.map(|ms| ids::iso(NOW + ms)),
        trial_ends_on: None,
        invoice_id: None,
        auto_renewing: true,
        payment_failed: false,
    }
}

/// The end of the period so long after [`NOW`], from [`NOW`]; `None` if the plan has ended.
fn end(plan: &Plan, after_ms: i64) -> Option<i64> {
    let end = plan.at(NOW + after_ms)?.expires_on;
    Some(ids::parse_iso(&end.expect("an end")).expect("a time") - NOW)
}

#[test]
fn a_plan_renews_itself_unless_it_is_cancelled() {
    let monthly = plan("MONTHLY", Some(10));
    assert_eq!(end(&monthly, 9), Some(10));
    assert_eq!(end(&monthly, 10), Some(31 * DAY_MS + 10));
    assert_eq!(end(&monthly, 40 * DAY_MS), Some(62 * DAY_MS + 10));
    let cancelled = Plan { auto_renewing: false, ..monthly.clone() };
    assert_eq!((end(&cancelled, 9), end(&cancelled, 10)), (Some(10), None));
    let unpaid = Plan { payment_failed: true, ..monthly };
    assert_eq!(end(&unpaid, DAY_MS), Some(10));
    assert!(plan("ONE_TIME", None).at(NOW + 10_000 * DAY_MS).is_some());
}

#[test]
fn a_trial_becomes_a_paid_plan_unless_it_is_cancelled() {
    let trial = Plan { trial_ends_on: Some(ids::iso(NOW + 5)), ..plan("YEARLY", None) };
    assert!(trial.at(NOW + 4).is_some_and(|plan| plan.trial_ends_on.is_some()));
    assert!(trial.at(NOW + 5).is_some_and(|plan| plan.trial_ends_on.is_none()));
    assert!(Plan { auto_renewing: false, ..trial }.at(NOW + 5).is_none());
}
