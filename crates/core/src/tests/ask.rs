//! What Wix is asked about a site, and when: Get App Instance (docs/wix.md, 7).

use serde_json::{Value, json};

use crate::testing::clock::START;
use crate::testing::jws;
use crate::testing::kv::Op;
use crate::testing::wix::Canned;
use crate::testing::world::{API_KEY, DELIVERING, INSTANCE, SITE, VICTIM, World};

const PATH: &str = "/apps/v1/instance";
const DAY: u64 = 86_400;

/// Wix's answer, with these fields of the instance.
fn answer(fields: &Value) -> Canned {
    let mut instance = json!({"instanceId": INSTANCE, "appName": "Demo", "appVersion": "2.1.0", "isFree": true});
    instance.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    Canned::ok(&json!({"instance": instance, "site": {
        "siteId": SITE, "siteDisplayName": "A shop", "url": "https://shop.example", "locale": "en",
        "paymentCurrency": "EUR", "ownerInfo": {"email": "owner@shop.example", "emailStatus": "VERIFIED_OPT_IN"},
    }}))
}

fn paid(plan: &str, more: &Value) -> Canned {
    let mut billing = json!({"packageName": plan, "billingCycle": "MONTHLY", "autoRenewing": true});
    billing.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    answer(&json!({"isFree": false, "billing": billing}))
}

/// An installation whose recheck is due.
fn installed() -> World {
    let world = World::new();
    world.webhook(jws::installed(INSTANCE, START));
    world.fake.clock().advance(300);
    world
}

fn event(kind: &str, data: &Value, at: u64) -> String {
    jws::event(kind, INSTANCE, data, at)
}

fn recheck(world: &World) {
    world.fake.clock().advance(300);
    world.isolate(&[]).cron();
}

fn asked(world: &World) -> usize {
    world.fake.wix().take_paths().iter().filter(|path| *path == PATH).count()
}

#[test]
fn after_an_installation_wix_is_asked_once_what_the_site_has() {
    let world = installed();
    world.fake.wix().always(PATH, answer(&json!({})));
    assert_eq!(asked(&world), 0, "not while the installation is stored");
    world.cron();
    let wanted = json!({
        "instance_id": INSTANCE, "status": "installed", "auth": "oauth", "installed_at": START, "site_id": SITE,
        "site": {"name": "A shop", "url": "https://shop.example", "locale": "en", "currency": "EUR"},
        "app_version": "2.1.0", "is_free": true, "last_event_at": START,
    });
    assert_eq!(world.instance(INSTANCE), wanted);
    let listed = world.get("/v1/instances").key(API_KEY).send().json()["instances"][0].clone();
    let omitted = ["site", "billing"].map(|name| listed.get(name).is_none());
    assert_eq!((omitted, &listed["app_version"], &listed["is_free"]), ([true; 2], &json!("2.1.0"), &json!(true)));
    assert!(world.fake.kv().entries().values().all(|entry| !entry.value.contains("owner@")), "no e-mail address");
    assert_eq!(asked(&world), 1);
    recheck(&world);
    recheck(&world);
    assert_eq!(asked(&world), 0, "nothing is in question");
    assert!(world.fake.kv().keys("v1:todo:").is_empty());
}

#[test]
fn a_failure_to_ask_fails_nothing() {
    let other = Canned::ok(&json!({"instance": {"instanceId": VICTIM, "isFree": true}}));
    for (path, response) in [
        (PATH, Canned::status(403)),
        (PATH, Canned::status(404)),
        (PATH, Canned::status(500)),
        (PATH, Canned::hang()),
        (PATH, Canned::text(200, "{}")),
        (PATH, other),
        ("/oauth2/token", Canned::status(404)),
        ("/oauth2/token", Canned::text(401, r#"{"error":"invalid_client"}"#)),
    ] {
        let world = installed();
        let before = world.instance(INSTANCE);
        world.fake.wix().always(path, response.clone());
        world.cron();
        assert_eq!(world.instance(INSTANCE), before, "{path} {response:?}");
        assert!(world.fake.kv().keys("v1:todo:").is_empty(), "the recheck is done: {path} {response:?}");
        // The next change lets Wix be asked again.
        world.fake.wix().clear_script();
        world.fake.wix().always(PATH, answer(&json!({})));
        let invoice = json!({"status": "PAID", "instanceId": INSTANCE});
        assert_eq!(world.webhook(event("InvoiceStatusUpdated", &invoice, world.now())).status, 200);
        recheck(&world);
        assert_eq!(world.instance(INSTANCE)["is_free"], true, "{path} {response:?}");
    }
}

#[test]
fn an_answer_that_cannot_be_stored_repeats_the_recheck() {
    for kind in ["fact", "instance"] {
        let world = installed();
        world.fake.wix().always(PATH, answer(&json!({})));
        let prefix = format!("v1:{kind}:");
        world.fake.kv().fail_where(move |op, key| op == Op::Put && key.starts_with(&prefix));
        world.cron();
        world.fake.kv().clear_faults();
        assert!(!world.fake.kv().keys("v1:todo:").is_empty(), "{kind}");
        recheck(&world);
        assert_eq!(world.instance(INSTANCE)["is_free"], true, "{kind}");
        recheck(&world);
        assert!(world.fake.kv().keys("v1:todo:").is_empty(), "{kind}");
    }
}

#[test]
fn the_setup_event_comes_first() {
    let world = World::with(&[("FINISH_CONFIGURATION", "on-install")]);
    world.post("/webhook").body(jws::installed(INSTANCE, START)).without_deferred_task().send();
    world.fake.clock().advance(300);
    world.fake.wix().always(PATH, Canned::hang());
    world.cron();
    assert!(world.instance(INSTANCE)["configured_at"].is_number());
}

#[test]
fn an_answer_that_says_nothing_new_is_not_stored() {
    let world = installed();
    world.fake.wix().always(PATH, answer(&json!({})));
    world.cron();
    recheck(&world);
    world.webhook(event("InvoiceStatusUpdated", &json!({}), world.now()));
    recheck(&world);
    let keys = |kind: &str| world.fake.kv().keys(&format!("v1:fact:{INSTANCE}:{kind}:"));
    assert_eq!((keys("billed").len(), keys("described").len(), keys("site").len()), (1, 1, 1));
    let described: u64 = keys("described")[0].split(':').nth(4).unwrap().parse().unwrap();
    let billed: u64 = keys("billed")[0].split(':').nth(4).unwrap().parse().unwrap();
    assert!(billed > described, "only the answer about billing, which was in question, is stored anew");
}

#[test]
fn when_a_period_has_ended_wix_is_asked_and_until_then_nothing_is_claimed() {
    let end = START + 31 * DAY;
    let iso = |at: u64| chrono::DateTime::from_timestamp(at.try_into().unwrap(), 0).unwrap().to_rfc3339();
    for (is_cancelled, then, wanted) in [
        (false, paid("pro", &json!({})), (json!("pro"), json!(false))),
        (false, answer(&json!({})), (Value::Null, json!(true))),
        (true, answer(&json!({})), (Value::Null, json!(true))),
        // The owner has changed their mind, and no event told it.
        (true, paid("pro", &json!({})), (json!("pro"), json!(false))),
    ] {
        let world = installed();
        world.fake.wix().always(PATH, paid("pro", &json!({})));
        let data = json!({"operationTimeStamp": iso(START), "vendorProductId": "pro", "cycle": "MONTHLY",
            "expiresOn": iso(end)});
        world.webhook(event("PaidPlanPurchased", &data, START + 5));
        recheck(&world);
        if is_cancelled {
            let data = json!({"vendorProductId": "pro"});
            let billing = json!({"autoRenewing": false});
            world.fake.wix().always(PATH, paid("pro", &billing));
            world.webhook(event("PaidPlanAutoRenewalCancelled", &data, world.now()));
            recheck(&world);
        }
        recheck(&world);
        assert_eq!(world.fake.kv().keys("v1:todo:").len(), 1, "the order to ask when the period has ended");
        let shown = world.instance(INSTANCE);
        assert_eq!((&shown["plan"], &shown["is_free"]), (&json!("pro"), &json!(false)), "{shown}");
        let billing = json!({"cycle": "MONTHLY", "expires_at": end, "auto_renewing": !is_cancelled});
        assert_eq!(shown["billing"], billing);

        world.fake.clock().set(end);
        world.fake.wix().take_paths();
        world.isolate(&[]).cron();
        assert_eq!(asked(&world), 0, "Wix may take a while");
        let shown = world.instance(INSTANCE);
        let claimed = (shown.get("plan"), shown.get("is_free"));
        let unknown = if is_cancelled { (None, Some(&json!(true))) } else { (Some(&json!("pro")), None) };
        assert_eq!(claimed, unknown, "{shown}");

        world.fake.wix().always(PATH, then);
        world.fake.clock().advance(600);
        world.isolate(&[]).cron();
        assert_eq!(asked(&world), 1);
        let shown = world.instance(INSTANCE);
        assert_eq!((shown["plan"].clone(), shown["is_free"].clone()), wanted, "{shown}");
        recheck(&world);
        assert!(world.fake.kv().keys("v1:todo:").is_empty(), "Wix names no further end");
    }
}

#[test]
fn the_order_to_ask_is_stored_before_the_plan() {
    let world = installed();
    world.cron();
    world.fake.kv().fail_where(|op, key| op == Op::Put && key.starts_with("v1:todo:"));
    let data = json!({"vendorProductId": "pro", "expiresOn": "2026-02-01T00:00:00Z"});
    let bought = event("PaidPlanPurchased", &data, START + 5);
    assert_eq!(world.webhook(bought.clone()).status, 503);
    assert_eq!(world.instance(INSTANCE).get("plan"), None);
    world.fake.kv().clear_faults();
    assert_eq!(world.webhook(bought).status, 200);
    assert_eq!(world.fake.kv().keys("v1:todo:").len(), 2, "the ordinary recheck, and one after the end");
}

#[test]
fn a_message_signed_anew_does_not_put_an_old_plan_back() {
    let world = installed();
    let data = |plan: &str, at: &str| json!({"vendorProductId": plan, "operationTimeStamp": at});
    world.webhook(event("PaidPlanChanged", &data("max", "2026-01-01T00:01:00.500Z"), START + 70));
    world.webhook(event("PaidPlanPurchased", &data("pro", "2026-01-01T00:00:10Z"), START + 200));
    assert_eq!(world.instance(INSTANCE)["plan"], "max");
    assert_eq!(world.instance(INSTANCE)["last_event_at"], START + 60);
    for odd in [json!(null), json!(7), json!("soon"), json!({})] {
        let data = json!({"vendorProductId": "odd", "operationTimeStamp": odd, "cycle": odd, "expiresOn": odd});
        let world = installed();
        world.webhook(event("PaidPlanChanged", &data, START + 210));
        let shown = world.instance(INSTANCE);
        assert_eq!((&shown["plan"], &shown["last_event_at"]), (&json!("odd"), &json!(START + 210)), "{odd}");
    }
}

#[test]
fn a_changed_plan_is_told_whether_an_event_or_an_answer_tells_it() {
    let world = World::delivering();
    world.webhook(jws::installed(INSTANCE, START));
    world.fake.wix().always(PATH, answer(&json!({})));
    let recheck = || {
        world.fake.clock().advance(300);
        world.isolate(&DELIVERING).cron();
    };
    recheck();
    world.webhook(event("PaidPlanPurchased", &json!({"vendorProductId": "pro"}), world.now()));
    recheck();
    recheck();
    let bodies = world.fake.object(INSTANCE).texts("SELECT body FROM events WHERE body IS NOT NULL ORDER BY sequence");
    let own: Vec<Value> = bodies.iter().map(|body| serde_json::from_str(body).unwrap()).collect();
    let told: Vec<(&Value, &Value)> = own
        .iter()
        .filter(|body| body["source"] == "wix-edge")
        .map(|body| (&body["type"], &body["data"]["plan"]))
        .collect();
    let changed = json!("installation.plan_changed");
    let (installed, pro, none) = (json!("installation.installed"), json!("pro"), Value::Null);
    assert_eq!(told, [(&installed, &none), (&changed, &pro), (&changed, &none)], "Wix said that the site is free");
}

#[test]
fn the_operations_of_asking() {
    let world = installed();
    world.fake.wix().always(PATH, answer(&json!({})));
    world.fake.kv().take_counts();
    world.cron();
    let counts = world.fake.kv().take_counts();
    assert_eq!(counts, [4, 6, 1, 4], "three facts, a row, the recheck of that write, and the note of the run");
    world.fake.clock().advance(300);
    world.cron();
    assert_eq!(world.fake.kv().take_counts(), [2, 0, 1, 2], "the recheck");
}
