//! Back ends with the npm package receive events from the Worker: in Node, and in workerd as the target of a service
//! binding.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use std::{fs, io};

use leash::Leash;
use serde_json::{Value, json};
use workerd::Kv;

use super::bed::{Bed, SECRETS};
use crate::harness::{API_KEY, APP, Delivery, Message, example_worker, guid, path_with_node};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn node(program: &Path) -> Command {
    let mut node = Command::new(root().join("node_modules/.bin/node"));
    node.arg(program).current_dir(root()).env("PATH", path_with_node(root()));
    node
}

/// An approved order: the message, the id of the event, and the id of the order.
fn approved(instance: &str) -> (Message, String, String) {
    let (event, order) = (guid(), guid());
    let data = json!({
        "id": event, "entityFqdn": "wix.ecom.v1.order", "slug": "approved", "entityId": order,
        "eventTime": "2026-01-01T00:00:05.123456Z", "triggeredByAnonymizeRequest": false,
        "actionEvent": { "body": { "order": { "number": "10001", "buyer": "Zo\u{eb} \u{1f600}" } } },
    });
    (Message::new("wix.ecom.v1.order_approved", instance, &data), event, order)
}

/// The headers of a delivery, as the package takes them.
fn headers(delivery: &Delivery) -> Value {
    let headers = delivery.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().expect("text")));
    headers.map(|(name, value)| (name.to_owned(), value.into())).collect::<serde_json::Map<_, _>>().into()
}

/// What `verifyEvent` returns in Node: the event, or the code of its error.
fn verified(secrets: &Value, delivery: &Delivery) -> io::Result<Value> {
    let mut verify = node(Path::new("tests/it/events/verify.mjs"));
    let mut child = verify.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let input = json!({ "secrets": secrets, "headers": headers(delivery), "body": delivery.body }).to_string();
    child.stdin.take().expect("an input").write_all(input.as_bytes())?;
    let output = child.wait_with_output()?;
    Ok(serde_json::from_slice(&output.stdout)?)
}

#[test]
fn verify_event_in_node_accepts_each_secret_of_a_rotation() -> io::Result<()> {
    let bed = Bed::start();
    let (message, event, _) = approved(&guid());
    bed.outcome(&message);
    let delivery = bed.receiver.wait_for(1).remove(0);
    let mut genuine = delivery.json();
    genuine["id"] = event.into();
    let foreign = "whsec_Zm9yZWlnbiBzZWNyZXQgdGhhdCBzaWducyBub3RoaW5n";
    for (secrets, expected) in [
        (json!(SECRETS[0]), &genuine),
        (json!(SECRETS[1]), &genuine),
        (json!([foreign, SECRETS[1]]), &genuine),
        (json!(foreign), &json!({ "code": "bad_signature" })),
    ] {
        assert_eq!(&verified(&secrets, &delivery)?, expected, "{secrets}");
    }
    Ok(())
}

#[test]
fn the_package_calls_the_routes_of_events_and_verifies_events_of_our_own() -> io::Result<()> {
    let bed = Bed::with(|values| values.with("EVENTS_RETAIN_HOURS", "1"));
    let instance = guid();
    bed.outcome(&Message::new("AppInstalled", &instance, &json!({ "appId": bed.wix.app.app_id })));
    let [raw, own] = bed.receiver.wait_for(2).try_into().expect("two deliveries");
    bed.wait_for_event(&instance, 2, |event| event["state"] == "delivered");

    let mut client = node(Path::new("tests/it/events/client.mjs"));
    client.env("WORKER_URL", bed.url()).env("WORKER_KEY", API_KEY).env("INSTANCE", &instance);
    let output = client.output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    let found: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {errors}"));
    let ids = |page: &str| found[page]["events"].as_array().expect("events")[0]["event_id"].clone();
    assert_eq!((ids("listed"), ids("next")), (json!(own.id), json!(raw.id)), "{found}");
    assert!(found["next"].get("next_cursor").is_none(), "{found}");
    assert_eq!(found["redelivered"], json!(null));
    assert_eq!(found["gone"], json!({ "status": 404, "code": "unknown_event" }));
    assert_eq!(found["parked"], json!({ "instances": [] }));

    let deliveries = bed.receiver.wait_for(4);
    let find = |id: &Value| deliveries[2..].iter().find(|delivery| json!(delivery.id) == *id).expect("a delivery");
    let sent = verified(&json!(SECRETS), find(&found["sent"]["event_id"]))?;
    assert_eq!(
        (&sent["type"], &sent["source"], &sent["anonymize"]),
        (&json!("wix-edge.test"), &json!("wix-edge"), &json!(false))
    );
    let again = verified(&json!(SECRETS[0]), find(&json!(own.id)))?;
    assert_eq!((&again["type"], &again["anonymize"]), (&json!("installation.installed"), &json!(false)));
    assert_eq!(again["data"]["instance_id"], json!(instance));
    Ok(())
}

/// The program of the README, with nothing added.
#[test]
fn the_back_end_of_the_readme_receives_an_order() -> io::Result<()> {
    let readme = fs::read_to_string(root().join("README.md"))?;
    let (_, rest) = readme.split_once("```js events.mjs\n").expect("the README has the program");
    let (program, _) = rest.split_once("```").expect("it ends");
    // Ignored by git, and inside the package, so that Node finds the imports.
    let folder = root().join("clients/js/dist/readme");
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("events.mjs"), program)?;

    let port = leash::free_port()?;
    let mut back_end = node(&folder.join("events.mjs"));
    back_end.env("PORT", port.to_string()).env("EVENTS_SECRETS", SECRETS.join(","));
    let mut back_end = Leash::spawn("the back end", &back_end, |_| ()).expect("it starts");
    let bed = Bed::with(|values| values.with("EVENTS_URL", format!("http://localhost:{port}/events")));
    let instance = guid();
    let (message, event, order) = approved(&instance);
    bed.outcome(&message);
    let wanted = format!("order {order} of {instance}");
    back_end.wait_for_line(Duration::from_secs(30), |line| line == wanted).expect("the line of the order");
    let line = bed.log.wait_for("the delivery", |line| line["route"] == "deliver" && line["outcome"] == "delivered");
    assert_eq!((&line["event_id"], &line["answer"]), (&json!(event), &json!("204")), "{line}");
    Ok(())
}

#[test]
fn the_example_worker_is_the_target_and_stores_an_order() {
    let orders = Kv::start().expect("a KV");
    let example = |secrets: &str| {
        let example = example_worker(APP).text("WIX_EDGE_API_KEY", API_KEY).kv("ORDERS", &orders);
        example.text("EVENTS_SECRETS", secrets)
    };
    let mut bed = Bed::with(|values| values.with("EVENTS_URL", ""));
    let restart = |bed: &mut Bed, secrets: &str| {
        bed.workerd = None;
        bed.run(Some(example(secrets)));
    };
    // A secret that signs nothing: the attempt fails, and the next one is later.
    restart(&mut bed, "whsec_Zm9yZWlnbiBzZWNyZXQgdGhhdCBzaWducyBub3RoaW5n");
    let (message, event, order) = approved(&guid());
    bed.outcome(&message);
    let line = bed.log.wait_for("the attempt", |line| line["route"] == "deliver");
    assert_eq!((&line["outcome"], &line["answer"]), (&json!("failed"), &json!("401")), "{line}");
    assert!(orders.entries("").is_empty());

    restart(&mut bed, &format!("{}, whsec_Zm9yZWlnbiBzZWNyZXQgdGhhdCBzaWducyBub3RoaW5n", SECRETS[1]));
    bed.log.wait_for("the delivery", |line| line["route"] == "deliver" && line["answer"] == "204");
    let [stored] = orders.entries("").try_into().expect("one order");
    assert_eq!(stored.key, event);
    assert_eq!(serde_json::from_slice::<Value>(&stored.value).expect("JSON")["entityId"], json!(order));
}
