//! The data points, and the documents about them.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::runtime::Point;
use crate::testing::DataPoint;
use crate::testing::clock::START;
use crate::testing::jws;
use crate::testing::wix::Canned;
use crate::testing::world::{API_KEY, INSTANCE, World};

const METRICS: &str = include_str!("../../../../docs/metrics.md");
const DASHBOARD: &str = include_str!("../../../../docs/grafana.json");

/// The points since the last call, as a column's value by its name.
fn column<'a>(point: &'a DataPoint, name: &str) -> &'a str {
    let number: usize = name.trim_start_matches("blob").parse().unwrap();
    &point.0[number - 1]
}

#[test]
fn a_request_has_a_data_point_with_the_values_of_its_line() {
    let world = World::new();
    world.connect();
    world.token(INSTANCE);
    world.fake.clock().advance(400);
    world.token(INSTANCE);
    world.webhook("x");
    let points = world.fake.points();
    let seen: Vec<(&[String], [u64; 4])> =
        points.iter().filter(|point| !point.0[1].is_empty()).map(|(blobs, numbers)| (&blobs[..], *numbers)).collect();
    let token = "/v1/instances/{id}/token";
    let rows: [([&str; 11], [u64; 4]); 5] = [
        (["/install", "GET", "3xx", "", "", "info", "", "", "", "", ""], [0, 302, 0, 0]),
        (["/redirect", "GET", "3xx", "", "", "info", "code", "", "", "", ""], [0, 302, 2, 0]),
        ([token, "POST", "2xx", "", "", "info", "memory", "", "full", "", ""], [0, 200, 0, 0]),
        ([token, "POST", "2xx", "", "", "info", "refresh_token", "", "full", "", ""], [0, 200, 1, 0]),
        (["/webhook", "POST", "4xx", "", "malformed_message", "warn", "", "", "", "", ""], [0, 400, 0, 0]),
    ];
    let wanted: Vec<(Vec<String>, [u64; 4])> =
        rows.iter().map(|(blobs, numbers)| (blobs.map(str::to_owned).to_vec(), *numbers)).collect();
    let seen: Vec<(Vec<String>, [u64; 4])> =
        seen.into_iter().map(|(blobs, numbers)| (blobs.to_vec(), numbers)).collect();
    assert_eq!(seen, wanted);

    let line = &world.fake.log_lines()[4].1;
    assert!(line.contains(r#""token_source":"refresh_token""#) && line.contains(r#""wix_calls":1"#), "{line}");
}

#[test]
fn a_token_is_minted_or_shared_or_from_kv() {
    let world = World::new();
    world.webhook(jws::installed(INSTANCE, START));
    let tokens = |world: &World| -> Vec<String> {
        let points = world.fake.points();
        points.iter().map(|point| column(point, "blob7").to_owned()).filter(|source| !source.is_empty()).collect()
    };
    let slow = json!({ "access_token": "OauthNG.slow", "expires_in": 14_400 });
    world.fake.wix().queue("/oauth2/token", [Canned::ok(&slow).after(400)]);
    let request = || world.post(&format!("/v1/instances/{INSTANCE}/token")).key(API_KEY);
    world.send_all([request(), request(), request()]);
    let mut first = tokens(&world);
    first.sort();
    assert_eq!(first, ["client_credentials", "shared", "shared"]);
    world.isolate(&[]).token(INSTANCE);
    assert_eq!(tokens(&world)[3], "kv");
}

#[test]
fn deliveries_and_runs_of_the_cron_trigger_have_a_point_at_every_log_level() {
    let world = World::delivering_with(&[("LOG_LEVEL", "error")]);
    world.webhook(jws::installed(INSTANCE, START));
    world.fake.deliver(INSTANCE);
    world.cron();
    let points = world.fake.points();
    let of = |route: &str| points.iter().filter(|point| column(point, "blob1") == route).collect::<Vec<_>>();
    let deliveries = of("deliver");
    let shown = |point: &DataPoint| ["blob4", "blob10", "blob11"].map(|name| column(point, name).to_owned());
    assert_eq!(shown(deliveries[0]), ["delivered", "AppInstalled", "200"]);
    assert_eq!(shown(deliveries[1]), ["delivered", "installation.installed", "200"]);
    assert_eq!((deliveries.len(), deliveries[0].1[3]), (2, 1));
    assert_eq!(column(of("/webhook")[0], "blob8"), "stored");
    assert_eq!(of("cron").len(), 1);
    assert!(world.fake.log_lines().is_empty(), "{:?}", world.fake.log_lines());
}

#[test]
fn no_point_has_an_id() {
    let world = World::delivering();
    world.connect();
    world.webhook(jws::installed(INSTANCE, START));
    world.token(INSTANCE);
    world.fake.deliver(INSTANCE);
    for (blobs, _) in world.fake.points() {
        for blob in blobs {
            assert!(!blob.contains(INSTANCE) && !blob.contains("planted") && !blob.contains("evt_"), "{blob}");
        }
    }
}

/// The names of columns in a text.
fn columns(text: &str) -> BTreeSet<&str> {
    let words = text.split(|char: char| !char.is_ascii_alphanumeric());
    let is_column = |word: &&str| {
        ["blob", "double", "index"].iter().any(|kind| {
            word.strip_prefix(kind)
                .is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
        })
    };
    words.filter(is_column).collect()
}

/// The columns that the document describes.
fn documented() -> BTreeSet<&'static str> {
    let (_, layout) = METRICS.split_once("## The layout").unwrap();
    let (layout, _) = layout.split_once("`token_source` says").unwrap();
    columns(layout)
}

#[test]
fn the_document_describes_every_column() {
    let point = Point::default();
    let blobs = (1..=point.blobs().len()).map(|number| format!("blob{number}"));
    let doubles = (1..=point.doubles().len()).map(|number| format!("double{number}"));
    let all: BTreeSet<String> = blobs.chain(doubles).chain(["index1".to_owned()]).collect();
    assert_eq!(documented(), all.iter().map(String::as_str).collect::<BTreeSet<_>>());
}

#[test]
fn the_dashboard_has_the_queries_of_the_document() {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let documented = documented();
    let mut queries = 0;
    for panel in dashboard["panels"].as_array().unwrap() {
        let target = &panel["targets"][0];
        let query = target["query"].as_str().unwrap();
        let table = target["table"].as_str().unwrap();
        let column = target["dateTimeColDataType"].as_str().unwrap();
        let plain = query
            .replace("$timeSeries", &format!("intDiv(toUInt32({column}), 300) * 300"))
            .replace("$table", table)
            .replace("$timeFilter", &format!("{column} > NOW() - INTERVAL '1' DAY"));
        let title = panel["title"].as_str().unwrap();
        assert!(METRICS.contains(&format!("```sql\n{plain}\n```")), "{title} differs from the document: {plain}");
        assert!(METRICS.contains(&format!("### {title}\n")), "{title} is not in the document");
        for name in columns(query) {
            assert!(documented.contains(name), "{title} uses {name}");
        }
        assert!(query.contains("_sample_interval") && !query.contains("count()"), "{title} ignores the sampling");
        queries += 1;
    }
    assert_eq!(METRICS.matches("```sql").count(), queries);
}
