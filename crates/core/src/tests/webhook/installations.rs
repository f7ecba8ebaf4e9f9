//! The App Installations events: docs/wix.md, 4.7 and 5.

use serde_json::{Value, json};

use super::OTHER_APP;
use crate::testing::clock::START;
use crate::testing::jws;
use crate::testing::world::{APP_ID, INSTANCE, SITE, VICTIM, World};

const TYPE: &str = "wix.app.installations.v1.app_installation_";

/// How Wix writes an entity.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Form {
    Object,
    Text,
    /// Text, under a name that says so.
    NamedText,
}

fn entity(status: &str) -> Value {
    json!({
        "id": "abababab-cdcd-4efe-8aba-bababababab0",
        "appId": APP_ID,
        "instanceId": INSTANCE,
        "appVersion": "1",
        "status": status,
        "revision": "7",
        "siteInfo": {"siteId": SITE, "ownerEmail": "owner@shop.example"},
    })
}

/// A message in which the envelope's instance is another one, so that the entity's counts.
fn message(slug: &str, entity: Option<&Value>, form: Form, at: u64) -> String {
    message_of(slug, entity, form, at, VICTIM)
}

fn message_of(slug: &str, entity: Option<&Value>, form: Form, at: u64, instance: &str) -> String {
    let time = chrono::DateTime::from_timestamp(at.try_into().unwrap(), 123_456_000).unwrap().to_rfc3339();
    let entity = entity.map(|entity| match form {
        Form::Object => entity.clone(),
        Form::Text | Form::NamedText => json!(entity.to_string()),
    });
    let (name, field) = match slug {
        "created" if form == Form::NamedText => ("createdEvent", "entityAsJson"),
        "created" => ("createdEvent", "entity"),
        "updated" if form == Form::NamedText => ("updatedEvent", "currentEntityAsJson"),
        "updated" => ("updatedEvent", "currentEntity"),
        _ => ("deletedEvent", "deletedEntity"),
    };
    let mut data = json!({"id": "e", "entityFqdn": "wix.app.installations.v1.app_installation", "slug": slug,
        "entityId": "abababab-cdcd-4efe-8aba-bababababab0", "eventTime": time, "entityEventSequence": "7"});
    data[name] = json!({});
    if let Some(entity) = entity {
        data[name][field] = entity;
    }
    // Wix sends, and signs, later than the event happens.
    jws::event(&format!("{TYPE}{slug}"), instance, &data, at + 30)
}

/// Wix deleted the installation.
pub fn deleted(at: u64) -> String {
    message_of("deleted", None, Form::Object, at, INSTANCE)
}

fn deliver(world: &World, message: String) -> String {
    assert_eq!(world.webhook(message).status, 200);
    world.fake.last_log()["outcome"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn an_installation_is_told_by_these_events_alone() {
    for form in [Form::Object, Form::Text, Form::NamedText] {
        let world = World::new();
        deliver(&world, message("created", Some(&entity("INSTALLED")), form, START - 300));
        let wanted = json!({"instance_id": INSTANCE, "status": "installed", "auth": "oauth",
            "installed_at": START - 300, "site_id": SITE, "last_event_at": START - 300});
        assert_eq!(world.instance(INSTANCE), wanted, "{form:?}");
        deliver(&world, message("updated", Some(&entity("INSTALLED")), form, START - 200));
        assert_eq!(world.instance(INSTANCE)["installed_at"], START - 300, "an update moves nothing: {form:?}");
        deliver(&world, message("updated", Some(&entity("UNINSTALLED")), form, START - 150));
        let removed = world.instance(INSTANCE);
        assert_eq!((&removed["status"], &removed["removed_at"]), (&json!("removed"), &json!(START - 150)), "{form:?}");
        deliver(&world, message("updated", Some(&entity("INSTALLED")), form, START - 100));
        deliver(&world, message("updated", Some(&entity("INSTALLED")), form, START - 60));
        let again = world.instance(INSTANCE);
        assert_eq!((&again["status"], &again["installed_at"]), (&json!("installed"), &json!(START - 100)), "{form:?}");
        assert!(world.fake.kv().entries().values().all(|entry| !entry.value.contains("owner@")), "no e-mail address");
        assert!(world.fake.wix().sent().is_empty(), "{form:?}");
        assert!(!world.fake.kv().keys("v1:").iter().any(|key| key.contains(VICTIM)), "the entity's instance counts");
    }
}

#[test]
fn the_time_of_the_event_counts_however_late_it_was_signed() {
    let world = World::new();
    world.webhook(jws::installed(INSTANCE, START - 50));
    deliver(&world, message("updated", Some(&entity("UNINSTALLED")), Form::Text, START - 60));
    assert_eq!(world.instance(INSTANCE)["status"], "installed", "the message was signed at START - 30");
}

#[test]
fn an_event_cannot_be_later_than_its_signature() {
    let world = World::new();
    let mut later = entity("INSTALLED");
    later["appId"] = Value::Null;
    let data = json!({"eventTime": "2099-01-01T00:00:00Z", "createdEvent": {"entity": later}});
    deliver(&world, jws::event(&format!("{TYPE}created"), INSTANCE, &data, START));
    assert_eq!(world.instance(INSTANCE)["installed_at"], START);
}

#[test]
fn an_event_of_another_app_is_ignored() {
    let world = World::new();
    world.webhook(jws::installed(INSTANCE, START - 100));
    let before = world.instance(INSTANCE);
    for slug in ["created", "updated", "deleted"] {
        let mut other = entity("UNINSTALLED");
        other["appId"] = json!(OTHER_APP);
        for form in [Form::Object, Form::Text] {
            assert_eq!(deliver(&world, message(slug, Some(&other), form, START - 40)), "other_app_ignored", "{slug}");
        }
    }
    assert_eq!(world.instance(INSTANCE), before);
}

#[test]
fn a_deletion_erases_tokens_and_data_at_once() {
    for (entity, instance) in [(Some(entity("INSTALLED")), VICTIM), (Some(json!({})), INSTANCE), (None, INSTANCE)] {
        let world = World::new();
        world.webhook(jws::installed(INSTANCE, START - 100));
        world.connect();
        world.fake.clock().advance(3_600);
        assert_eq!(world.token(INSTANCE).status, 200);
        let at = world.now() - 60;
        let deleted = message_of("deleted", entity.as_ref(), Form::Object, at, instance);
        assert_eq!(world.post("/webhook").body(deleted).without_deferred_task().send().status, 200);
        assert_eq!(world.fake.kv().keys("v1:refresh:"), Vec::<String>::new());
        assert_eq!(world.fake.kv().keys("v1:access:"), Vec::<String>::new());
        let wanted = json!({"instance_id": INSTANCE, "status": "removed", "auth": "oauth", "removed_at": at,
            "last_event_at": at});
        assert_eq!(world.instance(INSTANCE), wanted);
        assert_eq!(world.token(INSTANCE).status, 410);
        world.fake.clock().advance(300);
        world.cron();
        assert_eq!(world.fake.kv().keys("v1:fact:").len(), 2, "the facts before the deletion are erased");
        let row = &world.fake.kv().entries()[&format!("v1:instance:{INSTANCE}")];
        assert!(!row.value.contains(SITE), "{}", row.value);
        // An older message that comes later adds nothing.
        world.webhook(jws::installed(INSTANCE, START - 100));
        assert_eq!(world.instance(INSTANCE), wanted);
    }
}

#[test]
fn a_deletion_is_not_contested_by_a_token() {
    let world = World::new();
    world.webhook(jws::installed(INSTANCE, START));
    world.fake.clock().advance(3_600);
    assert_eq!(world.token(INSTANCE).status, 200);
    world.fake.wix().take_paths();
    deliver(&world, message("deleted", Some(&entity("INSTALLED")), Form::Text, START + 900));
    assert_eq!(world.instance(INSTANCE)["status"], "removed");
    assert!(world.fake.wix().sent().is_empty());
}

#[test]
fn unknown_values_and_missing_fields_break_nothing() {
    let odd = [
        json!({}),
        json!({"status": "SUSPENDED", "instanceId": INSTANCE}),
        json!({"status": 7, "instanceId": [], "siteInfo": "none"}),
        json!([]),
        json!("no JSON"),
        json!(7),
        Value::Null,
    ];
    for entity in &odd {
        let world = World::new();
        for form in [Form::Object, Form::Text] {
            deliver(&world, message_of("updated", Some(entity), form, START - 100, INSTANCE));
            assert_eq!(world.instance(INSTANCE)["status"], "pending", "{entity}");
        }
        deliver(&world, message_of("created", Some(entity), Form::Text, START - 90, INSTANCE));
        assert_eq!(world.instance(INSTANCE)["status"], "installed", "{entity}");
    }
    for data in [json!("no JSON"), json!(null), json!({"eventTime": 7, "updatedEvent": []})] {
        let world = World::new();
        deliver(&world, jws::event(&format!("{TYPE}updated"), INSTANCE, &data, START));
        assert_eq!(world.instance(INSTANCE)["status"], "pending", "{data}");
    }
}

#[test]
fn the_envelope_names_the_site() {
    let world = World::new();
    let envelope = |kind: &str| json!({"eventType": kind, "instanceId": INSTANCE, "accountInfo": {"siteId": SITE}});
    world.webhook(jws::installed(INSTANCE, START - 100));
    assert_eq!(world.instance(INSTANCE).get("site_id"), None);
    assert_eq!(world.webhook(super::enveloped(&envelope("AnyEvent"))).status, 200);
    assert_eq!(world.instance(INSTANCE)["site_id"], SITE);
    world.fake.kv().take_changes();
    world.fake.clock().advance(400);
    assert_eq!(world.webhook(super::enveloped(&envelope("AnyEvent"))).status, 200);
    assert_eq!(world.fake.kv().take_changes(), [], "a known site is not stored again");
    let world = World::new();
    assert_eq!(world.webhook(super::enveloped(&envelope("AppInstalled"))).status, 200);
    let shown = world.instance(INSTANCE);
    assert_eq!((&shown["status"], &shown["site_id"]), (&json!("installed"), &json!(SITE)));
}
