//! `POST /v1/import`: installations from before, line by line, each confirmed by Wix.

mod failure;
mod silence;

use serde_json::{Value, json};

use crate::testing::clock::START;
use crate::testing::jws;
use crate::testing::kv::Op;
use crate::testing::wix::{Canned, token_info};
use crate::testing::world::{API_KEY, INSTANCE, SITE, TestResponse, World, sha256_hex};

const REFRESH: &str = "OAUTH2.from-before";
const GUID: &str = "instance_id must be a GUID";
const OBJECT: &str = "the line must be a JSON object in which each name occurs once";

fn import(world: &World, body: impl Into<Vec<u8>>) -> Vec<Value> {
    let answer = send(world, body);
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/x-ndjson"));
    answer.body.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn send(world: &World, body: impl Into<Vec<u8>>) -> TestResponse {
    world.post("/v1/import").key(API_KEY).body(body).send()
}

fn line(fields: &Value) -> String {
    let mut line = json!({ "instance_id": INSTANCE });
    line.as_object_mut().expect("an object").extend(fields.as_object().expect("an object").clone());
    format!("{line}\n")
}

fn answer(line: u64, outcome: &str) -> Value {
    json!({ "line": line, "instance_id": INSTANCE, "outcome": outcome })
}

/// The ids of many installations, which Wix confirms in the order of the lines.
fn many(world: &World, count: u64) -> Vec<String> {
    let ids: Vec<String> = (0..count).map(|number| format!("{number:08}-bbbb-4ccc-8ddd-eeeeeeeeeeee")).collect();
    let confirmed = |id: &String| {
        let mut info = token_info();
        info["instanceId"] = id.as_str().into();
        Canned::ok(&info)
    };
    world.fake.wix().queue("/oauth2/token-info", ids.iter().map(confirmed));
    ids
}

fn lines_of(ids: &[String]) -> String {
    ids.iter().fold(String::new(), |text, id| format!("{text}{{\"instance_id\":\"{id}\"}}\n"))
}

#[test]
fn an_installation_that_wix_confirms_is_recorded_and_then_known() {
    let world = World::new();
    let body = line(&json!({ "installed_at": START - 5_000, "plan": "pro", "unknown": {"fields": ["do not matter"]} }));
    assert_eq!(import(&world, body.clone()), [answer(1, "imported")]);
    let paths = ["/oauth2/token", "/oauth2/token-info"];
    assert_eq!(world.fake.wix().take_paths(), paths);
    let record = world.instance(INSTANCE);
    let wanted = json!({
        "instance_id": INSTANCE, "status": "installed", "auth": "oauth", "installed_at": START - 5_000,
        "site_id": SITE, "plan": "pro", "is_free": false, "last_event_at": START,
    });
    assert_eq!(record, wanted);
    world.fake.clock().advance(500);
    world.fake.kv().take_counts();
    assert_eq!(import(&world, body), [answer(1, "known")]);
    assert_eq!(world.fake.kv().take_counts(), [1, 0, 0, 0]);
    assert!(world.fake.wix().take_paths().is_empty());
    assert_eq!(world.instance(INSTANCE), record);
}

#[test]
fn without_further_fields_the_time_of_the_installation_is_unknown() {
    let world = World::new();
    let body = line(&json!({ "installed_at": null, "plan": null, "site_id": null, "refresh_token": null }));
    assert_eq!(import(&world, body), [answer(1, "imported")]);
    let record = world.instance(INSTANCE);
    assert_eq!((&record["status"], &record["auth"]), (&json!("installed"), &json!("oauth")));
    assert_eq!(
        (&record["installed_at"], &record["plan"], &record["site_id"]),
        (&Value::Null, &Value::Null, &json!(SITE))
    );
}

#[test]
fn an_exported_line_can_be_imported() {
    let world = World::new();
    world.webhook(jws::installed(INSTANCE, START));
    let exported = world.get("/v1/export").key(API_KEY).send().body;
    let other = World::new();
    other.fake.clock().advance(100);
    assert_eq!(import(&other, exported), [answer(1, "imported")]);
    assert_eq!(other.instance(INSTANCE)["installed_at"], START);
}

#[test]
fn a_refresh_token_is_verified_sealed_and_used() {
    let world = World::new();
    assert_eq!(import(&world, line(&json!({ "refresh_token": REFRESH }))), [answer(1, "imported")]);
    let sent = world.fake.wix().sent();
    assert_eq!((sent[0].path(), &sent[0].json["refresh_token"]), ("/oauth/access", &json!(REFRESH)));
    assert_eq!(world.instance(INSTANCE)["auth"], "custom");
    assert!(world.fake.kv().entries().values().all(|entry| !entry.value.contains(REFRESH)), "it is sealed");
    assert!(world.fake.log_lines().iter().all(|(_, line)| !line.contains("OAUTH2")), "it is not logged");
    world.fake.wix().take_paths();
    world.isolate(&[]).token(INSTANCE).access_token();
    assert_eq!(world.fake.wix().take_paths(), ["/oauth/access"]);
}

/// An installation that is known by its webhook gets its refresh token by an import, once.
#[test]
fn another_refresh_token_of_a_known_installation_is_stored() {
    let world = World::new();
    world.webhook(jws::installed(INSTANCE, START));
    world.fake.clock().advance(10);
    // Wix answers with the token that it was given.
    let usual = json!({ "access_token": "OAUTH2.planted" });
    world.fake.wix().always("/oauth/access", Canned::ok(&usual));
    let body = line(&json!({ "refresh_token": REFRESH, "installed_at": 5, "plan": "old" }));
    assert_eq!(import(&world, body.clone()), [answer(1, "imported")]);
    let record = world.instance(INSTANCE);
    assert_eq!(
        (&record["auth"], &record["installed_at"], &record["plan"]),
        (&json!("custom"), &json!(START), &Value::Null)
    );
    assert_eq!(import(&world, body), [answer(1, "known")]);
    assert_eq!(import(&world, line(&json!({}))), [answer(1, "known")]);
    assert_eq!(import(&world, line(&json!({ "refresh_token": "OAUTH2.newer" }))), [answer(1, "imported")]);
}

/// Malformed lines, whether their instance id can be read, and the problem.
fn broken_lines() -> Vec<(Vec<u8>, bool, &'static str)> {
    let [token, site] = ["refresh_token must be printable ASCII without spaces", "site_id must be a GUID"];
    let at = "installed_at must be a whole number of Unix seconds that is not in the future";
    let plan = "plan must be a text of 1 to 100 characters without control characters";
    let fields = [
        ("instance_id", vec![json!(5), json!("x"), json!(null), json!([]), json!(format!("{:032}", 0))], GUID),
        ("refresh_token", vec![json!(5), json!(""), json!("a b"), json!("\u{e9}"), json!("x".repeat(40_000))], token),
        ("site_id", vec![json!(5), json!(""), json!("x"), json!({})], site),
        ("installed_at", vec![json!("5"), json!(0), json!(-5), json!(1.5), json!(START + 1), json!(START * 1000)], at),
        ("plan", vec![json!(5), json!(""), json!("a\nb"), json!("x".repeat(101)), json!(false)], plan),
    ];
    let texts = ["{", "[]", "\"text\"", "null", "7", r#"{"plan":"a","plan":"b"}"#, "{} {}", "{}]", "\0"];
    let mut lines: Vec<_> = texts.map(|text| (format!("{text}\n").into_bytes(), false, OBJECT)).into();
    for (name, values, problem) in fields {
        let broken = |value| (line(&json!({ name: value })).into_bytes(), name != "instance_id", problem);
        lines.extend(values.into_iter().map(broken));
    }
    lines.push((b"{\"unknown\":\"\xff\"}\n".to_vec(), false, "the line must be UTF-8"));
    let too_long = " ".repeat(65_537) + "\n";
    lines.push((too_long.into_bytes(), false, "the line must be at most 65536 bytes long"));
    lines
}

#[test]
fn each_broken_line_is_answered_and_the_rest_goes_on() {
    let world = World::new();
    let lines = broken_lines();
    let body: Vec<u8> = lines.iter().flat_map(|(line, ..)| line.clone()).chain(line(&json!({})).into_bytes()).collect();
    let answers = import(&world, body);
    for ((number, given), (_, has_id, problem)) in (1..).zip(&answers).zip(&lines) {
        let mut wanted = json!({ "line": number, "outcome": "invalid", "problem": problem });
        if *has_id {
            wanted["instance_id"] = INSTANCE.into();
        }
        assert_eq!(*given, wanted);
    }
    assert_eq!(answers.last(), Some(&answer(answers.len().try_into().unwrap(), "imported")));
    assert_eq!(answers.len(), lines.len() + 1);
}

#[test]
fn blank_lines_byte_order_marks_and_line_ends_do_not_matter() {
    let world = World::new();
    let line = line(&json!({}));
    let text = line.trim_end();
    let body = format!("\u{feff}{text}\r\n\r\n  \t\n\n{text}");
    assert_eq!(import(&world, body), [answer(1, "imported"), answer(5, "known")]);
    assert_eq!(
        import(&world, format!(" {} \n", text.to_uppercase().replace("INSTANCE_ID", "instance_id"))),
        [answer(1, "known")]
    );
    for empty in ["", "\n", "\r\n \n", "\u{feff}"] {
        assert_eq!(import(&world, empty), [Value::Null; 0]);
    }
    // A line of the longest length.
    let mut longest = text.to_owned();
    longest.push_str(&" ".repeat(65_536 - text.len()));
    assert_eq!(import(&world, longest.clone()), [answer(1, "known")]);
    longest.push(' ');
    assert_eq!(import(&world, longest)[0]["outcome"], "invalid");
}

#[test]
fn lines_of_one_installation_are_done_one_after_the_other() {
    let world = World::new();
    world.fake.wix().always("/oauth2/token-info", Canned::ok(&token_info()).after(300));
    let body = line(&json!({ "plan": "pro" })) + &line(&json!({ "plan": "max" })) + &line(&json!({}));
    assert_eq!(import(&world, body), [answer(1, "imported"), answer(2, "known"), answer(3, "known")]);
    assert_eq!(world.instance(INSTANCE)["plan"], "pro");
    assert_eq!(world.fake.wix().take_paths().len(), 2);
}

#[test]
fn six_lines_are_done_at_once_and_answered_in_order() {
    let world = World::new();
    let ids = many(&world, 12);
    let is_first = ids[0].clone();
    world.fake.kv().delay_where(move |op, key| if op == Op::Get && key.contains(&is_first) { 900 } else { 100 });
    let before = world.fake.clock().now();
    let answers = import(&world, lines_of(&ids));
    let took = world.fake.clock().now() - before;
    let answered: Vec<&str> = answers.iter().map(|answer| answer["instance_id"].as_str().unwrap()).collect();
    assert_eq!(answered, ids);
    assert!(answers.iter().all(|answer| answer["outcome"] != "invalid"));
    assert!(took < 12 * 500, "{took} ms");
}

#[test]
fn a_request_does_as_much_as_one_invocation_may_do() {
    let later = "one request does not import so many installations: send the line in another one";
    for (world, most) in [(World::new(), 20), (World::delivering(), 40)] {
        let ids = many(&world, 50);
        let answers = import(&world, format!("{{}}\n{}", lines_of(&ids)));
        assert_eq!(answers[0]["problem"], GUID, "an invalid line costs nothing");
        for (at, answer) in answers[1..].iter().enumerate() {
            let wanted = if at < most { (json!("imported"), Value::Null) } else { (json!("failed"), json!(later)) };
            assert_eq!((answer["outcome"].clone(), answer["problem"].clone()), wanted, "{at}");
        }
        assert_eq!(world.fake.wix().take_paths().len(), most * 2);
        let [gets, puts, deletes, lists] = world.fake.kv().take_counts();
        assert!(gets + puts + deletes + lists <= most * 10, "{gets} {puts} {deletes} {lists}");
    }
}

#[test]
fn an_installation_that_wix_confirms_is_not_hidden_by_an_earlier_removal() {
    let world = World::new();
    world.fake.clock().advance(1_000);
    world.webhook(jws::removed(INSTANCE, START + 100));
    assert_eq!(world.instance(INSTANCE)["status"], "removed");
    let body = line(&json!({ "installed_at": START - 100, "refresh_token": REFRESH }));
    assert_eq!(import(&world, body), [answer(1, "imported")]);
    let record = world.instance(INSTANCE);
    assert_eq!((&record["status"], &record["auth"]), (&json!("installed"), &json!("custom")));
    assert_eq!(world.fake.kv().keys("v1:refresh:").len(), 1);
    // A removal that comes later counts.
    world.fake.clock().advance(1_000);
    world.webhook(jws::removed(INSTANCE, START + 1_500));
    assert_eq!(world.instance(INSTANCE)["status"], "removed");
}

#[test]
fn a_later_plan_event_of_wixs_counts() {
    let world = World::new();
    assert_eq!(import(&world, line(&json!({ "plan": "from the file" }))), [answer(1, "imported")]);
    assert_eq!(world.instance(INSTANCE)["plan"], "from the file");
    // An event that comes late is older than the import.
    let data = json!({ "vendorProductId": "max", "cycle": "MONTHLY" });
    world.webhook(jws::event("PaidPlanChanged", INSTANCE, &data, START - 3_600));
    assert_eq!(world.instance(INSTANCE)["plan"], "max");
}

#[test]
fn only_an_administrator_may_import() {
    let keys = format!("usual:{}", sha256_hex("a-usual-key"));
    let world = World::with(&[("API_KEYS", keys.as_str())]);
    let answer = world.post("/v1/import").key("a-usual-key").body(line(&json!({}))).send();
    assert_eq!(answer.problem(), (403, "forbidden".to_owned()));
    assert!(world.fake.kv().entries().is_empty() && world.fake.wix().sent().is_empty());
}
