//! Plans: what the site has, by Wix's events and answers.

use super::*;
use crate::facts::{Before, Billing, State, is_in_question};

fn bought(seconds: u64, plan: &str, expires_at: Option<u64>) -> Fact {
    let (cycle, expires_at) = (Some("MONTHLY".to_owned()), expires_at.map(Timestamp));
    at(seconds, Kind::Plan { plan: plan.to_owned(), cycle, expires_at, auto_renewing: None })
}

fn cancelled(seconds: u64, plan: Option<&str>) -> Fact {
    at(seconds, Kind::Cancelled { plan: plan.map(str::to_owned), cycle: None })
}

fn free(seconds: u64) -> Fact {
    let kind = Kind::Billed {
        is_free: true,
        plan: None,
        cycle: None,
        expires_at: None,
        auto_renewing: None,
        trial_ends_at: None,
    };
    at(seconds, kind)
}

/// An answer of Wix's about a paid plan.
fn paid(seconds: u64, plan: Option<&str>, expires_at: Option<u64>, auto_renewing: Option<bool>) -> Fact {
    let (plan, expires_at) = (plan.map(str::to_owned), expires_at.map(Timestamp));
    at(seconds, Kind::Billed { is_free: false, plan, cycle: None, expires_at, auto_renewing, trial_ends_at: None })
}

/// Plan, whether it is free, end of the period, and whether it renews itself.
type Shown<'a> = (Option<&'a str>, Option<bool>, Option<u64>, Option<bool>);

fn shown(instance: &Instance) -> Shown<'_> {
    let billing = instance.billing.as_ref();
    (
        instance.plan.as_deref(),
        instance.is_free,
        billing.and_then(|billing| billing.expires_at).map(|at| at.0),
        billing.and_then(|billing| billing.auto_renewing),
    )
}

#[test]
fn each_event_and_answer_counts_by_its_own_time() {
    let table: &[(&[Fact], Shown<'_>)] = &[
        (&[], (None, None, None, None)),
        (&[free(20)], (None, Some(true), None, None)),
        (&[free(20), at(30, Kind::BillingChanged)], (None, None, None, None)),
        (&[free(20), at(10, Kind::BillingChanged)], (None, Some(true), None, None)),
        (&[bought(20, "pro", None), at(30, Kind::BillingChanged)], (Some("pro"), Some(false), None, None)),
        (&[bought(20, "pro", Some(90))], (Some("pro"), Some(false), Some(90), None)),
        // A cancelled plan is not yet free.
        (&[bought(20, "pro", Some(90)), cancelled(30, Some("pro"))], (Some("pro"), Some(false), Some(90), Some(false))),
        (&[bought(20, "pro", Some(90)), cancelled(30, None)], (Some("pro"), Some(false), Some(90), Some(false))),
        (&[bought(20, "pro", Some(90)), cancelled(19, None)], (Some("pro"), Some(false), Some(90), None)),
        (&[bought(20, "pro", Some(90)), cancelled(20, None)], (Some("pro"), Some(false), Some(90), Some(false))),
        (&[bought(20, "pro", Some(90)), cancelled(30, Some("max"))], (Some("max"), Some(false), None, Some(false))),
        (&[cancelled(30, Some("pro"))], (Some("pro"), Some(false), None, Some(false))),
        (&[cancelled(30, None)], (None, None, None, Some(false))),
        // A new plan replaces all that was known of the one before it.
        (
            &[bought(20, "pro", Some(90)), cancelled(30, None), bought(40, "max", None)],
            (Some("max"), Some(false), None, None),
        ),
        // Wix's answer replaces it too.
        (&[bought(20, "pro", Some(90)), free(40)], (None, Some(true), None, None)),
        (&[bought(20, "pro", Some(90)), free(10)], (Some("pro"), Some(false), Some(90), None)),
        (&[bought(20, "pro", Some(90)), free(20)], (Some("pro"), Some(false), Some(90), None)),
        (
            &[bought(20, "pro", Some(90)), paid(40, Some("max"), None, Some(true))],
            (Some("max"), Some(false), None, Some(true)),
        ),
        // Of a short period Wix does not name the end, which the purchase told.
        (
            &[bought(20, "pro", Some(90)), paid(40, Some("pro"), None, Some(true))],
            (Some("pro"), Some(false), Some(90), Some(true)),
        ),
        (
            &[bought(20, "pro", Some(90)), paid(95, Some("pro"), None, Some(true))],
            (Some("pro"), Some(false), None, Some(true)),
        ),
        (
            &[bought(20, "pro", Some(90)), paid(95, Some("pro"), Some(120), None)],
            (Some("pro"), Some(false), Some(120), None),
        ),
        // The end has passed and Wix lets the owner keep the plan.
        (&[bought(20, "pro", Some(90)), paid(95, Some("pro"), Some(90), None)], (Some("pro"), Some(false), None, None)),
        (&[bought(20, "pro", Some(90)), paid(40, None, None, None)], (Some("pro"), Some(false), Some(90), None)),
        (
            &[paid(40, Some("pro"), Some(90), Some(true)), cancelled(50, None)],
            (Some("pro"), Some(false), Some(90), Some(false)),
        ),
        // Plans of an earlier installation do not count, nor what is billed of it.
        (&[bought(20, "pro", Some(90)), paid(21, Some("pro"), None, None), removed(30)], (None, None, None, None)),
        (&[bought(20, "pro", Some(90)), free(21), removed(30), installed(40)], (None, None, None, None)),
        (&[removed(30), installed(40), bought(41, "pro", None)], (Some("pro"), Some(false), None, None)),
    ];
    for (facts, wanted) in table {
        let facts = [&[installed(10)], *facts].concat();
        permutations(&facts, &mut |order| assert_eq!(shown(&folded(order)), *wanted, "{order:?}"));
    }
}

#[test]
fn a_claim_that_has_passed_is_not_shown() {
    let trial = |ends: u64, auto_renewing| {
        let mut fact = paid(20, Some("pro"), None, auto_renewing);
        if let Kind::Billed { trial_ends_at, .. } = &mut fact.kind {
            *trial_ends_at = Some(Timestamp(ends));
        }
        fact
    };
    let table: &[(&[Fact], u64, Shown<'_>)] = &[
        (&[bought(20, "pro", Some(90))], 89, (Some("pro"), Some(false), Some(90), None)),
        // It may have been renewed: the plan is kept, and nobody knows whether the site pays.
        (&[bought(20, "pro", Some(90))], 90, (Some("pro"), None, None, None)),
        (&[paid(20, Some("pro"), Some(90), Some(true))], 90, (Some("pro"), None, None, Some(true))),
        // It was not renewed.
        (&[bought(20, "pro", Some(90)), cancelled(30, None)], 89, (Some("pro"), Some(false), Some(90), Some(false))),
        (&[bought(20, "pro", Some(90)), cancelled(30, None)], 90, (None, Some(true), None, None)),
        (&[trial(90, Some(false))], 90, (None, Some(true), None, None)),
        (&[trial(90, Some(true))], 90, (Some("pro"), None, None, Some(true))),
        (
            &[trial(90, Some(false)), bought(60, "pro", Some(99)), cancelled(70, None)],
            95,
            (Some("pro"), Some(false), Some(99), Some(false)),
        ),
    ];
    for (facts, now, wanted) in table {
        let instance = folded(&[&[installed(10)], *facts].concat());
        assert_eq!(shown(&instance.clone().valid_at(Timestamp(*now))), *wanted, "{now} {facts:?}");
        let later = instance.clone().valid_at(Timestamp(*now)).valid_at(Timestamp(*now));
        assert_eq!(later, instance.valid_at(Timestamp(*now)), "twice is once");
    }
}

#[test]
fn wix_is_asked_if_nothing_is_known_or_something_happened_or_an_end_has_passed() {
    let asks = |facts: &[Fact], now| is_in_question(&folded(facts), facts, Timestamp(now));
    assert!(asks(&[installed(10)], 10));
    assert!(!asks(&[installed(10), free(20)], 1_000));
    for later in [
        installed(30),
        at(30, Kind::Created),
        connected(30),
        bought(30, "pro", None),
        cancelled(30, None),
        at(30, Kind::BillingChanged),
    ] {
        assert!(asks(&[installed(10), free(20), later.clone()], 40), "{later:?}");
        assert!(!asks(&[installed(10), later.clone(), free(31)], 40), "{later:?}");
    }
    let yearly = [installed(10), paid(20, Some("pro"), Some(90), Some(true))];
    assert_eq!([89, 90].map(|now| asks(&yearly, now)), [false, true]);
    let asked = [&yearly[..], &[paid(95, Some("pro"), Some(90), Some(true))]].concat();
    assert!(!asks(&asked, 100), "Wix was asked after the end");
    assert!(!asks(&[installed(10), removed(20)], 100));
    assert!(
        asks(&[installed(10), free(12), removed(20), at(30, Kind::Listed)], 100),
        "the answer is of an earlier installation"
    );
    assert!(!asks(&[installed(10), at(20, Kind::Refused)], 100), "Wix issues no tokens");
}

/// Every field at its longest. A product has 100 UTF-16 code units, which are 300 bytes at most.
#[test]
fn every_field_fits_at_its_longest_into_the_limits_of_kv() {
    let now = 253_402_300_799;
    let (product, name) = ("\u{ffff}".repeat(100), "\u{ffff}".repeat(80));
    let (cycle, short, url) = ("C".repeat(24), "s".repeat(24), "u".repeat(300));
    let site = || SiteId::parse(SITE).unwrap();
    let end = Some(Timestamp(now + 1));
    let before = Before {
        recorded_ms: now * 1000,
        state: State { status: Some(Status::NeedsReconnect), plan: Some(product.clone()), is_free: Some(false) },
    };
    let billed = Kind::Billed {
        is_free: false,
        plan: Some(product.clone()),
        cycle: Some(cycle.clone()),
        expires_at: end,
        auto_renewing: Some(false),
        trial_ends_at: end,
    };
    let described = Kind::Described {
        name: Some(name),
        url: Some(url),
        locale: Some(short.clone()),
        currency: Some(short.clone()),
        app_version: Some(short),
    };
    let plan =
        Kind::Plan { plan: product.clone(), cycle: Some(cycle.clone()), expires_at: end, auto_renewing: Some(false) };
    let kinds = [
        Kind::Installed { origin: Some(InstanceId::parse(VICTIM).unwrap()) },
        Kind::Connected { site: Some(site()) },
        Kind::Site { site: site() },
        Kind::Cancelled { plan: Some(product), cycle: Some(cycle) },
        Kind::Configured,
        billed,
        plan,
        described.clone(),
    ];
    let facts: Vec<Fact> = kinds.into_iter().map(|kind| at(now, kind)).collect();
    for fact in &facts {
        let before = Some(before.clone()).filter(|_| fact.kind != described);
        let text = serde_json::to_string(&fact.clone().with_before(before)).unwrap();
        assert!(text.len() <= 1024, "{} bytes: {text}", text.len());
        assert!(keys::fact(&id(), fact).unwrap().len() <= 512);
    }
    let mut lengths = Vec::new();
    for last in [Kind::Refused, Kind::Healed, Kind::Accepted, Kind::Removed] {
        let facts = [&facts[..], &[at(now + 1, last)]].concat();
        let row = Row::fold(&id(), facts).unwrap();
        let metadata = row.metadata().unwrap();
        assert!(metadata.len() <= 1024, "{} bytes: {metadata}", metadata.len());
        lengths.push(metadata.len());
        let listed: Value = serde_json::from_str(&metadata).unwrap();
        assert_eq!((listed.get("site"), listed.get("billing")), (None, None), "lists omit them");
        if row.instance.status != Status::Removed {
            let billing = row.instance.billing.unwrap();
            assert!(billing != Billing::default() && row.instance.site.is_some() && listed["app_version"].is_string());
        }
    }
    println!("metadata of {lengths:?} bytes");
}
