//! The comparison of all installations with Wix: what it finds, when it runs, and what it costs.

mod runs;

use std::rc::Rc;

use serde_json::{Value, json};

use super::own_events::own;
use super::webhook::installations::deleted;
use crate::Shared;
use crate::testing::clock::START;
use crate::testing::jws;
use crate::testing::object::{FakeObjects, status};
use crate::testing::wix::Canned;
use crate::testing::world::{API_KEY, APP_ID, DELIVERING, INSTANCE, World, config};

const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;
const DAILY: (&str, &str) = ("RECHECK_HOURS", "24");
const ON_INSTANCE: &str = "/apps/v1/instance";
const ON_TOKEN: &str = "/oauth2/token";

/// Installations compared by the Cron Trigger.
fn by_cron() -> World {
    World::with(&[DAILY])
}

/// Installations compared by their objects, which tell the app.
fn by_objects() -> World {
    World::delivering_with(&[DAILY])
}

fn both() -> [World; 2] {
    [by_cron(), by_objects()]
}

/// Wix says that the site has this plan.
fn has(world: &World, plan: Option<&str>) {
    let billing = plan.map(|plan| json!({"packageName": plan, "billingCycle": "MONTHLY", "autoRenewing": true}));
    let instance = json!({"instanceId": INSTANCE, "isFree": plan.is_none(), "billing": billing});
    world.fake.wix().always(ON_INSTANCE, Canned::ok(&json!({ "instance": instance })));
}

/// An installation with a free site, whose rechecks are done.
fn installed(world: &World) {
    has(world, None);
    world.webhook(jws::installed(INSTANCE, START));
    settle(world);
}

/// The rechecks of an earlier message run. After a day nothing else is due.
fn settle(world: &World) {
    let changes: &[(&str, &str)] = if world.fake.has_objects() { &DELIVERING } else { &[] };
    for _ in 0..2 {
        world.fake.clock().advance(300);
        world.isolate(changes).cron();
    }
    world.fake.wix().take_paths();
    world.fake.clock().advance(DAY);
}

fn figures(world: &World) -> Value {
    let answer = world.get("/v1/reconciliation").key(API_KEY).send();
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()
}

/// Compared, and repaired: installations, removals, plans.
fn counts(world: &World) -> (u64, u64, [u64; 3]) {
    let figures = figures(world);
    let number = |value: &Value| value.as_u64().expect("a number");
    let repairs = ["installed", "removed", "plan"].map(|name| number(&figures["repairs"][name]));
    (number(&figures["compared"]), number(&figures["repaired"]), repairs)
}

#[test]
fn nothing_is_written_where_nothing_changed() {
    for world in both() {
        installed(&world);
        let before = world.fake.kv().entries();
        world.cron();
        assert_eq!(world.fake.wix().take_paths(), [ON_TOKEN, ON_INSTANCE]);
        let mut after = world.fake.kv().entries();
        after.remove("v1:reconciliation");
        let mut before = before;
        before.remove("v1:reconciliation");
        assert_eq!(after, before);
        assert_eq!(counts(&world), (1, 0, [0; 3]));
    }
    let world = by_objects();
    installed(&world);
    world.fake.kv().take_counts();
    world.cron();
    // The page of the list, and the row.
    assert_eq!(world.fake.kv().take_counts(), [1, 0, 0, 2], "the object of the app has the place in the list");
}

#[test]
fn a_lost_removal_is_found_if_wix_answers_404_three_times() {
    for world in both() {
        installed(&world);
        assert_eq!(world.token(INSTANCE).status, 200);
        world.fake.wix().take_paths();
        world.fake.wix().always(ON_TOKEN, Canned::status(404));
        let now = world.now();
        world.cron();
        assert!(world.fake.kv().keys("v1:access:").is_empty(), "its tokens are erased");
        assert_eq!(world.isolate(&[]).token(INSTANCE).status, 410, "another isolate has none in memory");
        let record = world.instance(INSTANCE);
        assert_eq!((&record["status"], record["removed_at"].as_u64()), (&json!("removed"), Some(now)));
        assert_eq!(world.fake.wix().take_paths(), [ON_TOKEN; 3]);
        assert_eq!(counts(&world), (1, 1, [0, 1, 0]));
    }
}

#[test]
fn another_refusal_changes_nothing() {
    let page = Canned::text(404, "<html>");
    for refusal in [Canned::status(400), Canned::status(401), Canned::status(403), page, Canned::status(500)] {
        for world in both() {
            installed(&world);
            let before = world.fake.kv().keys("v1:fact:");
            world.fake.wix().always(ON_TOKEN, refusal.clone());
            world.cron();
            assert_eq!(world.fake.kv().keys("v1:fact:"), before);
            assert_eq!(counts(&world).1, 0);
        }
    }
    let world = by_cron();
    installed(&world);
    world.fake.wix().queue(ON_TOKEN, [404, 404].map(Canned::status));
    world.fake.wix().always(ON_INSTANCE, Canned::status(404));
    world.cron();
    assert_eq!(world.instance(INSTANCE)["status"], "installed", "Wix issues a token");
}

#[test]
fn a_lost_reinstallation_is_found() {
    for world in both() {
        installed(&world);
        world.webhook(jws::removed(INSTANCE, world.now()));
        settle(&world);
        let now = world.now();
        world.cron();
        let record = world.instance(INSTANCE);
        assert_eq!((&record["status"], record["installed_at"].as_u64()), (&json!("installed"), Some(now)));
        assert_eq!(counts(&world), (1, 1, [1, 0, 0]));
    }
}

#[test]
fn a_pending_installation_is_found() {
    for world in both() {
        has(&world, None);
        world.webhook(jws::event("order", INSTANCE, &json!({}), START));
        settle(&world);
        assert_eq!(world.instance(INSTANCE)["status"], "pending");
        world.cron();
        assert_eq!(world.instance(INSTANCE)["status"], "installed");
        assert_eq!(counts(&world), (1, 1, [1, 0, 0]));
    }
}

#[test]
fn for_an_hour_wix_may_answer_as_before() {
    for (wait, wanted) in [(HOUR - 600, "installed"), (HOUR, "removed")] {
        let world = by_cron();
        has(&world, None);
        world.webhook(jws::installed(INSTANCE, START));
        world.fake.clock().advance(wait);
        world.isolate(&[]).cron();
        world.fake.wix().always(ON_TOKEN, Canned::status(404));
        world.cron();
        assert_eq!(world.instance(INSTANCE)["status"], wanted);
    }
}

/// What the object of the installation keeps of a corrected plan. Without objects nobody does.
fn corrected_plan(world: &World, at: u64) -> Value {
    let corrected = json!({"at": at, "installed": false, "removed": false, "plan": true});
    if world.fake.has_objects() { corrected } else { Value::Null }
}

#[test]
fn a_lost_change_of_the_plan_is_found() {
    for world in both() {
        installed(&world);
        has(&world, Some("gold"));
        world.cron();
        let record = world.instance(INSTANCE);
        assert_eq!((&record["plan"], &record["is_free"]), (&json!("gold"), &json!(false)));
        assert_eq!(counts(&world), (1, 1, [0, 0, 1]));
        assert_eq!(record["corrected"], corrected_plan(&world, world.now()));
        has(&world, None);
        world.fake.clock().advance(DAY);
        world.cron();
        assert_eq!(world.instance(INSTANCE)["is_free"], true);
        assert_eq!(counts(&world), (1, 1, [0, 0, 1]));
        assert_eq!(figures(&world)["previous"]["repaired"], 1);
        world.fake.clock().advance(DAY);
        world.cron();
        assert_eq!(
            world.instance(INSTANCE)["corrected"],
            corrected_plan(&world, world.now() - DAY),
            "nothing was wrong"
        );
    }
}

#[test]
fn a_token_restores_an_installation_that_wix_refused() {
    let world = by_cron();
    installed(&world);
    world.fake.wix().always(ON_TOKEN, Canned::status(401));
    assert_eq!(world.token(INSTANCE).status, 409);
    assert_eq!(world.instance(INSTANCE)["status"], "needs_reconnect");
    world.fake.wix().clear_script();
    has(&world, None);
    settle(&world);
    world.cron();
    assert_eq!(world.instance(INSTANCE)["status"], "installed");
    assert_eq!(counts(&world), (1, 0, [0; 3]), "no webhook was lost");
}

#[test]
fn each_repair_is_told_to_the_app_once() {
    let world = by_objects();
    installed(&world);
    world.fake.wix().always(ON_TOKEN, Canned::status(404));
    world.cron();
    world.fake.wix().clear_script();
    has(&world, Some("gold"));
    settle(&world);
    world.cron();
    settle(&world);
    world.cron();
    let wanted = ["installed", "removed", "installed", "plan_changed"].map(|name| format!("installation.{name}"));
    assert_eq!(own(&world), wanted);
}

#[test]
fn an_object_compares_by_its_alarm_once_a_day() {
    let world = by_objects();
    has(&world, None);
    world.webhook(jws::installed(INSTANCE, START));
    world.fake.deliver(INSTANCE);
    world.fake.wix().take_paths();
    world.fake.pass(INSTANCE, 10 * DAY);
    assert_eq!(world.fake.wix().take_paths().len(), 10 * 2);
    let object = world.fake.object(INSTANCE);
    let alarms = object.set_alarms();
    world.fake.pass(INSTANCE, 10 * DAY);
    assert_eq!(object.set_alarms() - alarms, 10);
    let checked = world.instance(INSTANCE)["billing"]["checked_at"].as_u64().expect("a time");
    assert!(world.now() - checked <= DAY);
    assert_eq!(counts(&world).0, 1);
}

#[test]
fn checked_at_is_kept_by_the_object_and_in_no_row_of_kv() {
    let world = by_objects();
    has(&world, Some("gold"));
    world.webhook(jws::installed(INSTANCE, START));
    world.fake.deliver(INSTANCE);
    world.fake.pass(INSTANCE, 3 * DAY);
    world.cron();
    assert!(world.instance(INSTANCE)["billing"]["checked_at"].is_u64());
    for (key, entry) in world.fake.kv().entries() {
        let texts = [Some(entry.value), entry.metadata];
        assert!(texts.iter().flatten().all(|text| !text.contains("checked_at")), "{key}");
    }
}

#[test]
fn a_comparison_that_failed_is_repeated_in_an_hour() {
    let world = by_objects();
    installed(&world);
    world.cron();
    world.fake.wix().always(ON_TOKEN, Canned::status(500));
    world.fake.pass(INSTANCE, 3 * DAY);
    let asked = world.fake.wix().take_paths().len();
    assert!((4 * 40..=4 * 72).contains(&asked), "{asked}: four attempts an hour");
    world.fake.wix().clear_script();
    has(&world, Some("gold"));
    world.fake.pass(INSTANCE, HOUR);
    assert_eq!(world.instance(INSTANCE)["plan"], "gold");
}

#[test]
fn a_comparison_that_the_apps_object_did_not_count_is_counted_later() {
    let world = by_objects();
    installed(&world);
    has(&world, Some("gold"));
    world.fake.object(APP_ID).break_storage(true);
    world.fake.pass(INSTANCE, DAY);
    assert_eq!(world.instance(INSTANCE)["plan"], "gold");
    world.fake.object(APP_ID).break_storage(false);
    assert_eq!(counts(&world).1, 0);
    world.fake.pass(INSTANCE, HOUR);
    assert_eq!(counts(&world).1, 1);
}

#[test]
fn the_comparisons_are_spread_over_the_day() {
    let world = by_objects();
    let mut quarters = [0; 4];
    for number in 0..60 {
        let id = id(number);
        world.webhook(jws::installed(&id, START));
        world.fake.deliver(&id);
        world.fake.pass(&id, 60);
        world.fake.clock().set_millis(START * 1000);
        let alarm = world.fake.object(&id).alarm_at().expect("an alarm") / 1000;
        assert!((START..=START + DAY + 60).contains(&alarm), "{alarm}");
        quarters[usize::try_from((alarm - START) / (6 * HOUR + 60)).expect("a quarter")] += 1;
    }
    assert!(quarters.iter().all(|count| (8..23).contains(count)), "{quarters:?}");
}

fn id(number: usize) -> String {
    format!("aaaaaaaa-bbbb-4ccc-8ddd-{number:012}")
}

/// Removed installations, each of which Wix refuses with one request.
fn removed(world: &World, count: usize) {
    world.fake.wix().always(ON_TOKEN, Canned::status(404));
    for number in 0..count {
        world.webhook(jws::removed(&id(number), START - 10));
    }
    settle(world);
}

#[test]
fn without_objects_the_cron_trigger_compares_in_slices_and_begins_anew_after_a_day() {
    let world = World::with(&[DAILY, ("RETENTION_DAYS", "0")]);
    removed(&world, 30);
    let mut runs = Vec::new();
    for _ in 0..5 {
        world.fake.clock().advance(300);
        world.cron();
        runs.push(world.fake.wix().take_paths().len());
    }
    assert_eq!(runs, [12, 12, 6, 0, 0]);
    let round = figures(&world);
    assert_eq!((&round["compared"], round["completed_at"].as_u64()), (&json!(30), Some(world.now() - 600)));
    world.fake.kv().take_counts();
    world.cron();
    assert_eq!(world.fake.kv().take_counts(), [1, 0, 0, 1], "a round that is complete costs one read");
    world.fake.clock().advance(DAY);
    world.cron();
    assert_eq!(world.fake.wix().take_paths().len(), 12);
}

#[test]
fn a_comparison_without_objects_costs_a_read_and_its_share_of_a_run() {
    let world = by_cron();
    installed(&world);
    world.fake.kv().take_counts();
    world.cron();
    // The row, and how far the Cron Trigger has come; the rechecks, and the page of the list.
    assert_eq!(world.fake.kv().take_counts(), [2, 1, 0, 2]);
}

#[test]
fn while_wix_is_down_the_cron_trigger_stays_where_it_is() {
    let world = by_cron();
    removed(&world, 20);
    world.fake.wix().always(ON_TOKEN, Canned::unreachable());
    world.cron();
    world.fake.wix().always(ON_TOKEN, Canned::status(404));
    world.cron();
    assert_eq!(counts(&world).0, 12);
    world.cron();
    assert_eq!(counts(&world).0, 20);
}

#[test]
fn the_cron_trigger_wakes_each_object_once_a_day_forty_at_a_time() {
    let world = World::with(&[DAILY, ("RETENTION_DAYS", "0")]);
    removed(&world, 100);
    // From now on there are objects.
    let changes = [&DELIVERING[..], &[DAILY, ("RETENTION_DAYS", "0")]].concat();
    let objects = FakeObjects::new(Rc::new(Shared::new(config(&changes))));
    world.fake.use_objects(Some(objects));
    let world = world.isolate(&changes);
    let mut runs = Vec::new();
    for _ in 0..5 {
        world.fake.clock().advance(300);
        world.cron();
        runs.push(world.fake.wix().take_paths().len());
    }
    assert_eq!(runs, [40, 40, 20, 0, 0], "installations from before the objects are compared at once");
    assert_eq!(counts(&world), (100, 0, [0; 3]));
    // The alarms do not fire here: the objects are overdue by the Worker's clock.
    world.fake.clock().advance(DAY);
    world.cron();
    assert_eq!(world.fake.wix().take_paths().len(), 40);
}

#[test]
fn the_object_of_an_imported_installation_compares_it_at_once() {
    let world = by_objects();
    let line = json!({ "instance_id": INSTANCE, "installed_at": START - DAY }).to_string();
    let answer = world.post("/v1/import").key(API_KEY).body(line).send();
    assert!(answer.body.contains("imported"), "{}", answer.body);
    assert!(world.fake.rechecks().is_empty(), "a long import must not delay the rechecks of others");
    has(&world, Some("gold"));
    world.fake.pass(INSTANCE, 180);
    assert_eq!(world.instance(INSTANCE)["plan"], "gold");
    assert_eq!(counts(&world), (1, 0, [0; 3]), "nothing was wrong");
    world.fake.wix().take_paths();
    world.fake.pass(INSTANCE, DAY);
    assert_eq!(world.fake.wix().take_paths().len(), 2);
    // Nothing else looks at it where objects compare nothing.
    let world = World::delivering();
    world.post("/v1/import").key(API_KEY).body(json!({ "instance_id": INSTANCE }).to_string()).send();
    assert_eq!(world.fake.rechecks().len(), 1);
}

#[test]
fn zero_hours_compare_nothing() {
    for world in [World::with(&[]), World::delivering_with(&[("RECHECK_HOURS", "0")])] {
        installed(&world);
        world.cron();
        world.fake.clock().advance(DAY);
        world.cron();
        assert_eq!(world.fake.wix().take_paths(), [""; 0]);
        let mut figures = figures(&world);
        assert_eq!(figures.as_object_mut().expect("an object").remove("cron_ran_at"), Some(json!(world.now())));
        figures.as_object_mut().expect("an object").remove("cron_next_by");
        assert_eq!(
            figures,
            json!({"compared": 0, "repaired": 0, "repairs": {"installed": 0, "removed": 0, "plan": 0}})
        );
    }
}

#[test]
fn the_object_of_a_deleted_installation_ends_after_its_events() {
    let world = World::delivering_with(&[DAILY, ("EVENTS_KEEP_HOURS", "240")]);
    installed(&world);
    world.webhook(jws::event("order", INSTANCE, &json!({}), START));
    world.webhook(deleted(world.now()));
    world.fake.wix().always(ON_TOKEN, Canned::status(404));
    let object = world.fake.object(INSTANCE);
    object.script(|_| (0, status(500)));
    world.fake.deliver(INSTANCE);
    world.fake.pass(INSTANCE, 6 * DAY);
    assert!(!own(&world).is_empty(), "the events are pending");
    object.script(|_| (0, status(200)));
    world.fake.pass(INSTANCE, HOUR);
    assert_eq!((object.count("SELECT count(*) FROM sqlite_master"), object.alarm_at()), (0, None));
}

#[test]
fn the_object_of_a_deleted_installation_knows_copies_for_five_days() {
    let world = by_objects();
    installed(&world);
    world.fake.wix().always(ON_TOKEN, Canned::status(404));
    world.webhook(deleted(world.now()));
    world.fake.deliver(INSTANCE);
    let object = world.fake.object(INSTANCE);
    world.fake.pass(INSTANCE, 5 * DAY - HOUR);
    assert!(object.count("SELECT count(*) FROM events") > 0, "Wix may send them again");
    world.fake.pass(INSTANCE, 2 * HOUR);
    assert_eq!((object.count("SELECT count(*) FROM sqlite_master"), object.alarm_at()), (0, None));
}
