//! docs/problems.md has a section for each code, and no others. `cargo xtask build` makes the Worker's page of it.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::delivery::ObjectCallError;
use crate::runtime::PlatformError;

const DOCUMENT: &str = include_str!("../../../../../docs/problems.md");

/// Codes that only the log shows, with the file that notes them.
const LOGGED: [(&str, &str); 2] = [
    ("refresh_token_unreadable", include_str!("../../instances/grant.rs")),
    ("row_unreadable", include_str!("../../store/facts.rs")),
];

/// One error for each code.
fn every_error() -> Vec<Error> {
    let web = [
        Error::NotFound,
        Error::MethodNotAllowed(Vec::new()),
        Error::BadRequest("", ""),
        Error::TooLarge(0),
        Error::Misconfigured(Vec::new()),
        Error::State(StateError::Expired),
        Error::State(StateError::OtherBrowser),
        Error::State(StateError::Invalid),
        Error::Prefetch,
        Error::Jws(JwsError::BadSignature("")),
        Error::Jws(JwsError::NotNow("")),
        Error::Jws(JwsError::NotForUs("")),
        Error::Jws(JwsError::Malformed("")),
        Error::Unauthorized,
        Error::Forbidden(Scope::Token),
        Error::HttpsRequired,
        Error::TooManyFlows,
        Error::Busy,
    ];
    let instance = [
        InstanceError::Unknown,
        InstanceError::Removed,
        InstanceError::NeedsReconnect,
        InstanceError::CodeRefused(None),
        InstanceError::NotProven(""),
        InstanceError::NotGenuine(""),
        InstanceError::SetupDisabled,
        InstanceError::RateLimited { wait_seconds: 0 },
        InstanceError::EventRefused,
        InstanceError::EventNotPermitted,
        InstanceError::UnknownEvent,
        InstanceError::ErasedEvent,
        InstanceError::NoPluginTarget,
        InstanceError::PluginFailed(""),
        InstanceError::PluginTimeout,
        InstanceError::NotStored(StoreError::NotJson),
        InstanceError::Object(ObjectCallError::Failed(String::new())),
        InstanceError::Wix(WixError::CredentialsRefused(401)),
        InstanceError::Wix(WixError::Deadline),
        InstanceError::Wix(WixError::Failed(String::new())),
        InstanceError::Platform(PlatformError(String::new())),
    ];
    web.into_iter().chain(instance.map(Error::Instance)).collect()
}

/// The code after each occurrence of `before`, and after a status if there is one.
fn codes_in<'a>(source: &'a str, before: &'a str) -> impl Iterator<Item = &'a str> {
    source.split(before).skip(1).filter_map(|rest| {
        let rest = rest.trim_start();
        let rest = match rest.strip_prefix("StatusCode::") {
            Some(rest) => rest.split_once(',')?.1.trim_start(),
            None => rest,
        };
        rest.strip_prefix('"')?.split_once('"').map(|(code, _)| code)
    })
}

#[test]
fn the_list_of_errors_has_every_code_of_the_source() {
    let (_, of_instances) = include_str!("../../instances/error.rs").split_once("pub fn code(").expect("the function");
    let (of_instances, _) = of_instances.split_once("pub fn cause(").expect("the next function");
    let (of_web, _) = include_str!("../error.rs").split_once("fn instance(").expect("the next function");
    let written: BTreeSet<&str> =
        codes_in(of_web, "notice(").chain(codes_in(of_web, "internal(")).chain(codes_in(of_instances, "=>")).collect();
    let listed: BTreeSet<&str> = every_error().iter().map(|error| error.notice().code).collect();
    assert_eq!(listed, written, "every_error must have an example of each code");
}

#[test]
fn every_code_is_described_with_its_status_cause_cures_and_retry() {
    let mut described = BTreeMap::new();
    for section in DOCUMENT.split("\n### `").skip(1) {
        let (code, text) = section.split_once("`\n\n").expect("the heading is a code");
        let text = text.split("\n## ").next().unwrap_or_default();
        let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("- ")).collect();
        for (line, name) in lines.iter().zip(["Status", "Cause", "Developer", "Operator", "Retry"]) {
            assert!(line.starts_with(&format!("- **{name}**: ")), "{code}: {line} must be {name}");
        }
        assert_eq!(lines.len(), 5, "{code}");
        let status = lines[0].trim_start_matches("- **Status**: ");
        assert_eq!(described.insert(code, status.to_owned()), None, "{code} is described twice");
    }
    let mut wanted: BTreeMap<&str, String> =
        every_error().iter().map(|error| (error.notice().code, error.notice().status.as_u16().to_string())).collect();
    for (code, source) in LOGGED {
        assert!(codes_in(source, ".secondary(").any(|noted| noted == code), "{code}");
        wanted.insert(code, "none, in the log only".to_owned());
    }
    assert_eq!(described, wanted);
}
