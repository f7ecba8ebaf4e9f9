//! The life cycle of the app on a site: install, remove, reinstall, clone, update, plans (sections 3.5, 3.6 and 5).

use serde_json::Value;

use crate::ids;
use crate::tokens;
use crate::webhook::{Event, Identity, samples};
use crate::world::{Instance, Site, Status, World};

/// A changed instance, and the events that the change causes.
pub(crate) struct Changed {
    pub instance: Instance,
    pub events: Vec<Event>,
}

/// Creates a site with made-up data.
pub(crate) fn make_site(world: &mut World, name: Option<String>) -> Site {
    let number = world.sites.len() + 1;
    let site = Site {
        site_id: ids::guid(),
        name: name.unwrap_or_else(|| format!("Invented Shop {number}")),
        owner_id: ids::guid(),
        account_id: ids::guid(),
        owner_email: format!("owner{number}@shop.example"),
        url: format!("https://shop{number}.example"),
        locale: "en".to_owned(),
        currency: "EUR".to_owned(),
    };
    world.sites.insert(site.site_id.clone(), site.clone());
    site
}

/// Installs the app on a site: a first install, a reinstall, or a repeated consent, which causes no event.
pub(crate) fn install(world: &mut World, site_id: &str, origin: Option<String>, now_ms: i64) -> Changed {
    let known = world.instance_of_site(site_id).cloned();
    let badge = world.app.sends_finished_configuration || world.switches.setup_badge_always;
    let (instance, slug) = match known {
        Some(instance) if instance.status == Status::Installed => return Changed { instance, events: Vec::new() },
        Some(mut instance) => {
            instance.status = Status::Installed;
            instance.installed_at_ms = now_ms;
            instance.removed_at_ms = None;
            instance.configured = false;
            instance.setup_incomplete = badge;
            instance.revision += 1;
            (instance, "updated")
        }
        None => (
            Instance {
                instance_id: ids::guid(),
                site_id: site_id.to_owned(),
                status: Status::Installed,
                origin_instance_id: origin,
                major_version: 1,
                plan: None,
                configured: false,
                setup_incomplete: badge,
                first_installed_at_ms: now_ms,
                installed_at_ms: now_ms,
                removed_at_ms: None,
                installation_id: ids::guid(),
                revision: 1,
            },
            "created",
        ),
    };
    world.instances.insert(instance.instance_id.clone(), instance.clone());
    let mut events = Vec::new();
    if slug == "created" || world.switches.app_installed_on_reinstall {
        events.push(event(world, &instance, "AppInstalled", app_installed(world, &instance), now_ms));
    }
    events.extend(installation_event(world, &instance, slug, now_ms));
    Changed { instance, events }
}

/// The inner data of `AppInstalled`. The switch `webhook_empty_origin` adds an empty origin.
fn app_installed(world: &World, instance: &Instance) -> String {
    let mut fields = vec![("appId", Value::from(world.app.app_id.as_str()))];
    match &instance.origin_instance_id {
        Some(origin) => fields.push(("originInstanceId", origin.as_str().into())),
        None if world.switches.webhook_empty_origin => fields.push(("originInstanceId", "".into())),
        None => {}
    }
    samples::object(&fields)
}

/// Removes the app from its site. Removing it again changes nothing.
pub(crate) fn remove(world: &mut World, instance_id: &str, now_ms: i64) -> Option<Changed> {
    let instance = world.instances.get_mut(instance_id)?;
    if instance.status == Status::Removed {
        return Some(Changed { instance: instance.clone(), events: Vec::new() });
    }
    instance.status = Status::Removed;
    instance.removed_at_ms = Some(now_ms);
    instance.revision += 1;
    let instance = instance.clone();
    tokens::revoke(world, instance_id);
    let data = samples::object(&[("appId", world.app.app_id.as_str().into())]);
    let mut events = vec![event(world, &instance, "AppRemoved", data, now_ms)];
    events.extend(installation_event(world, &instance, "updated", now_ms));
    Some(Changed { instance, events })
}

/// Deletes a site with everything on it. The App Installations events tell it (section 5); whether `AppRemoved` does too is
/// unknown, so a switch says it.
pub(crate) fn delete_site(world: &mut World, site_id: &str, now_ms: i64) -> Option<Vec<Event>> {
    if !world.sites.contains_key(site_id) {
        return None;
    }
    let mut events = Vec::new();
    if let Some(id) = world.instance_of_site(site_id).map(|instance| instance.instance_id.clone()) {
        let was_installed = world.installed(&id);
        let instance = world.instances.get_mut(&id)?;
        instance.status = Status::Removed;
        instance.removed_at_ms.get_or_insert(now_ms);
        instance.plan = None;
        instance.revision += 1;
        let instance = instance.clone();
        tokens::revoke(world, &id);
        if was_installed && world.switches.app_removed_on_site_deletion {
            let data = samples::object(&[("appId", world.app.app_id.as_str().into())]);
            events.push(event(world, &instance, "AppRemoved", data, now_ms));
        }
        events.extend(installation_event(world, &instance, "deleted", now_ms));
    }
    world.sites.remove(site_id);
    Some(events)
}

/// Copies the site. The copy has its own instance, which names the original as its origin, and no tokens.
pub(crate) fn clone_site(world: &mut World, instance_id: &str, now_ms: i64) -> Option<Changed> {
    let origin = world.instances.get(instance_id)?.clone();
    let name = world.sites.get(&origin.site_id).map(|site| format!("Copy of {}", site.name));
    let site = make_site(world, name);
    Some(install(world, &site.site_id, Some(origin.instance_id), now_ms))
}

/// Increases the app's major version on a site. The owner consents through the redirect flow.
pub(crate) fn update(world: &mut World, instance_id: &str) -> Option<Instance> {
    let instance = world.instances.get_mut(instance_id)?;
    instance.major_version += 1;
    instance.revision += 1;
    Some(instance.clone())
}

/// Issues a `token` for the App URL: 416 lower-case hex characters, as in the published sample (section 3.3).
pub(crate) fn install_token(world: &mut World, site_id: &str) -> String {
    let token = ids::random_hex(416);
    world.issue_install_token(token.clone(), site_id.to_owned());
    token
}

/// An event of an instance that the site's owner caused.
pub(crate) fn event(world: &World, instance: &Instance, event_type: &str, data: String, now_ms: i64) -> Event {
    let mut event = Event::new(event_type, Some(&instance.instance_id), data, now_ms);
    if let Some(site) = world.sites.get(&instance.site_id) {
        event.identity = Some(Identity { identity_type: "WIX_USER", wix_user_id: site.owner_id.clone() });
        event.account_info =
            Some(crate::webhook::AccountInfo { account_id: site.account_id.clone(), site_id: site.site_id.clone() });
    }
    event
}

/// The App Installations event of a change, if these events are sent.
pub(crate) fn installation_event(world: &World, instance: &Instance, slug: &str, now_ms: i64) -> Option<Event> {
    let event_type = format!("wix.app.installations.v1.app_installation_{slug}");
    let form = samples::Form {
        is_text: world.switches.app_installation_text,
        has_deleted_entity: world.switches.app_installation_deleted_entity,
    };
    let data = || samples::installation(slug, &world.app.app_id, instance, now_ms, form);
    world.switches.app_installation_events.then(|| event(world, instance, &event_type, data(), now_ms))
}
