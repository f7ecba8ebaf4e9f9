//! The fuzz targets: for each parser of outside input a function that takes any bytes. It panics where the parser
//! panics, and where the parser accepts an input that it must refuse.
//!
//! They are compiled with the feature `fuzz`, which only `fuzz/` enables, and for the tests, which run each target with
//! its seeds. `cargo xtask fuzz` runs the fuzzer.

#![expect(clippy::missing_panics_doc, reason = "a target reports a fault by a panic")]

mod requests;
pub(crate) mod stub;
mod values;

pub use self::requests::{list, plugin_call, records, request, webhook, wix_answer};
pub use self::values::{api_keys, claims, config, import_line, jwt, public_keys, sealed, signed_instance, state};

use futures::FutureExt as _;

use crate::config::{Binding, Config};
use crate::values::Fault;

/// A fuzz target: its name, which is also the name of its folder of seeds, and the function.
pub type Target = (&'static str, fn(&[u8]));

/// All fuzz targets.
pub const TARGETS: [Target; 15] = [
    ("api_keys", api_keys),
    ("claims", claims),
    ("config", config),
    ("import_line", import_line),
    ("jwt", jwt),
    ("list", list),
    ("plugin_call", plugin_call),
    ("public_keys", public_keys),
    ("records", records),
    ("request", request),
    ("sealed", sealed),
    ("signed_instance", signed_instance),
    ("state", state),
    ("webhook", webhook),
    ("wix_answer", wix_answer),
];

const APP_ID: &str = "11111111-2222-4333-8444-555555555555";
const INSTANCE: &str = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee";
const APP_SECRET: &str = "planted-app-secret";
const SEALING_KEY: &str = "k1:BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
const PUBLIC_KEY: &str = include_str!("../testdata/webhook_key.pub.pem");
/// A client with every scope. Its key is the letter `k`.
const API_KEYS: &str =
    "fuzz:8254c329a92850f6d539dd376f4816ee2764517da5e0235514af433164480d7a:token+instances+events+proxy+admin";

/// Parses a valid configuration in which `changes` replace values.
fn configured(changes: &[(String, String)]) -> Result<Config, Vec<Fault>> {
    let lookup = |name: &str| {
        let replaced = changes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        if matches!(name, "INSTANCES" | "INSTALLATIONS") {
            return Binding::Object;
        }
        let usual = match name {
            "WIX_APP_ID" => Some(APP_ID),
            "WIX_PUBLIC_KEYS" => Some(PUBLIC_KEY),
            "WIX_APP_SECRET" => Some(APP_SECRET),
            "SEALING_KEYS" => Some(SEALING_KEY),
            "API_KEYS" => Some(API_KEYS),
            "EVENTS_URL" => Some("https://back-end.example/events"),
            "PLUGINS_URL" => Some("https://back-end.example/plugins"),
            "EVENTS_SECRETS" => Some("whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"),
            _ => None,
        };
        replaced.or(usual).map_or(Binding::Missing, |text| Binding::Text(text.to_owned()))
    };
    Config::parse(lookup)
}

/// Polls a future once. On the stub no future waits.
fn poll_once<T>(future: impl Future<Output = T>) -> T {
    let value = future.now_or_never();
    assert!(value.is_some(), "a future waits on the stub");
    value.unwrap_or_else(|| unreachable!())
}

#[cfg(test)]
mod tests;
