//! Back ends with the npm package answer the calls: the program of docs/plugins.md, and the handlers of Wix's SDK.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use leash::Leash;
use serde_json::{Value, json};

use super::{SECRETS, assert_refused, call, post, with_target};
use crate::harness::{Response, TIMEOUT, Testbed, guid, path_with_node, request};

/// Runs a program in Node, and waits until it listens.
fn start(program: &Path, port: u16, app_id: &str) -> Leash {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut node = Command::new(root.join("node_modules/.bin/node"));
    node.arg(program).current_dir(root).env("PATH", path_with_node(root));
    node.env("PORT", port.to_string()).env("EVENTS_SECRETS", SECRETS.join(",")).env("APP_ID", app_id);
    let back_end = Leash::spawn("the back end", &node, |_| ()).expect("it starts");
    let until = std::time::Instant::now() + TIMEOUT;
    while request("GET", format!("http://localhost:{port}/")).try_send().is_err() {
        assert!(std::time::Instant::now() < until, "the back end must listen");
        std::thread::sleep(Duration::from_millis(50));
    }
    back_end
}

fn bed(port: u16) -> Testbed {
    Testbed::start(|values| with_target(values, &format!("http://localhost:{port}/plugins")))
}

/// The program of the page, with nothing added.
#[test]
fn the_back_end_of_the_docs_answers_with_shipping_rates() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/plugins.md")).expect("the page");
    let (_, rest) = page.split_once("```js plugins.mjs\n").expect("the page has the program");
    let (program, _) = rest.split_once("```").expect("it ends");
    // Ignored by git, and inside the package, so that Node finds the imports.
    let folder = root.join("clients/js/dist/readme");
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join("plugins.mjs"), program).expect("a file");

    let port = leash::free_port().expect("a port");
    let bed = bed(port);
    let mut back_end = start(&folder.join("plugins.mjs"), port, "");
    let id = guid();
    let response = post(&bed, "/plugins/v1/getRates", call(&bed, &id).sign()).send().expect(200);
    let cost = &response.json()["shippingRates"][0]["cost"];
    assert_eq!((&cost["price"], &cost["currency"]), (&json!("5.90"), &json!("EUR")), "{response:?}");
    let wanted = format!("1 line items for {id}");
    back_end.wait_for_line(Duration::from_secs(30), |line| line == wanted).expect("the line of the call");
    let other = post(&bed, "/plugins/v1/other", call(&bed, &id).sign()).send();
    assert_refused(other, 404, "UNKNOWN_METHOD");
    // A call that did not come through the Worker.
    let direct = request("POST", format!("http://localhost:{port}/plugins/v1/getRates")).body("{}").send();
    assert_refused(direct, 400, "malformed");
}

#[test]
fn the_handlers_of_wixs_sdk_answer_behind_the_worker() {
    let port = leash::free_port().expect("a port");
    let bed = bed(port);
    let _back_end = start(Path::new("tests/it/plugins/sdk.mjs"), port, &bed.wix.app.app_id);
    let id = guid();
    let send_to = |extension: &str, path: &str, request: &Value| -> Response {
        let mut message = call(&bed, &id);
        message.claims["data"]["metadata"]["appExtensionType"] = extension.into();
        message.claims["data"]["metadata"]["currency"] = "ILS".into();
        message.claims["data"]["request"] = request.clone();
        post(&bed, &format!("/plugins/v1/{path}"), message.sign()).send()
    };
    let send = |path: &str, request: &Value| send_to("PREMIUM_CUSTOM_CHARGES", path, request);
    let limit = send("charge-limit", &json!({ "currency": "EUR" })).expect(200).json();
    assert_eq!(limit["chargeLimit"], format!("EUR of {id}"));
    let usages = send("usages", &json!({ "counterIds": ["a", "b"] })).expect(200).json();
    assert_eq!(usages["usages"][1]["counterId"], "b", "{usages}");
    for path in ["charges", "charges-rejected", "usages-rejected", "invoice-created"] {
        send(path, &json!({})).expect(200);
    }
    let refused = assert_refused(send("limit-updated", &json!({})), 428, "TOO_LATE");
    assert_eq!(refused.json()["applicationError"]["data"], json!({ "a": 1 }));

    let send = |request: &Value| send_to("ECOM_SHIPPING_RATES", "getRates", request);
    let mut order = json!({
        "lineItems": [{ "id": "item-1", "quantity": 1, "physicalProperties": { "weight": "1.25" } }],
        "shippingDestination": {
            "country": "IL", "postalCode": "6350671", "streetAddress": { "name": "Namal", "number": "40" },
        },
    });
    let rates = send(&order).expect(200).json();
    let nine = "2026-03-01T09:00:00.000Z";
    let rate = json!({
        "code": "item-1",
        "title": "2.5 kg to Namal",
        "logistics": { "deliveryTimeSlot": { "from": nine, "to": nine } },
        "cost": { "price": "5.90", "currency": "ILS" },
    });
    assert_eq!(rates, json!({ "shippingRates": [rate] }));
    order["shippingDestination"]["postalCode"] = Value::Null;
    assert_refused(send(&order), 400, "MISSING_POSTAL_CODE");

    let items = json!({ "lineItems": [{ "id": "item-1", "price": "10.5" }, { "id": "item-2", "price": "3" }] });
    let fees = send_to("ECOM_ADDITIONAL_FEES", "calculate-additional-fees", &items).expect(200).json();
    let fee = |code: &str, price: &str| json!({ "code": code, "name": "Gift wrap", "price": price, "taxDetails": { "taxable": true } });
    assert_eq!(fees, json!({ "additionalFees": [fee("item-1", "21"), fee("item-2", "6")], "currency": "ILS" }));
}
