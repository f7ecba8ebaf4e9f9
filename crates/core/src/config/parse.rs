//! The form of single values.

use std::fmt::Display;
use std::ops::RangeInclusive;

use url::{Host, Url};

use super::reader::visible;
use crate::crypto::SealingKey;
use crate::values::AppSecret;
use crate::web::{ApiKey, is_localhost};

/// Milliseconds of an hour.
pub(super) const HOUR: u64 = 3_600_000;

/// Parses a number of hours into milliseconds.
pub(super) fn parse_hours(text: &str, range: RangeInclusive<u64>) -> Result<u64, String> {
    let hours = text.parse().ok().filter(|hours| range.contains(hours));
    hours
        .map(|hours| hours * HOUR)
        .ok_or_else(|| format!("it must be a whole number of hours from {} to {}", range.start(), range.end()))
}

/// Parses `RECHECK_HOURS`, up to a year, into seconds; `None` for 0.
pub(super) fn parse_recheck(text: &str) -> Result<Option<u64>, String> {
    parse_period(text, "hours", 3_600, 8_760)
}

/// Parses `RETENTION_DAYS`, up to a hundred years, into seconds; `None` for 0.
pub(super) fn parse_retention(text: &str) -> Result<Option<u64>, String> {
    parse_period(text, "days", 86_400, 36_500)
}

/// Parses `WIX_RATE_LIMIT`; `None` for 0.
pub(super) fn parse_rate(text: &str) -> Result<Option<u32>, String> {
    Ok(parse_period(text, "calls", 1, 100_000)?.and_then(|count| u32::try_from(count).ok()))
}

fn parse_period(text: &str, unit: &str, seconds: u64, longest: u64) -> Result<Option<u64>, String> {
    match text.parse() {
        Ok(0) => Ok(None),
        Ok(count) if count <= longest => Ok(Some(count * seconds)),
        _ => Err(format!("it must be a whole number of {unit} from 0 to {longest}")),
    }
}

pub(super) fn parse_secret(text: &str) -> Result<AppSecret, String> {
    if text.len() < 8 {
        return Err("it must have at least 8 characters".to_owned());
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("it must be printable ASCII without spaces".to_owned());
    }
    if text.contains(['"', '\'', '`']) {
        return Err("it must not contain quotes".to_owned());
    }
    Ok(AppSecret::new(text))
}

pub(super) fn parse_sealing_keys(text: &str) -> Result<Vec<SealingKey>, String> {
    let keys = parse_list(text, SealingKey::parse)?;
    if is_repeated(&keys, |one, other| one.id() == other.id()) {
        return Err("two keys have the same id".to_owned());
    }
    let is_same = |one: &SealingKey, other: &SealingKey| one.key().expose() == other.key().expose();
    if is_repeated(&keys, is_same) { Err("two ids have the same key".to_owned()) } else { Ok(keys) }
}

/// Two entries with one hash are refused: it would be unclear whose scopes count.
pub(super) fn parse_api_keys(text: &str) -> Result<Vec<ApiKey>, String> {
    let keys = parse_list(text, ApiKey::parse)?;
    let is_same = |one: &ApiKey, other: &ApiKey| one.hash() == other.hash();
    if is_repeated(&keys, is_same) { Err("two entries have the same hash".to_owned()) } else { Ok(keys) }
}

/// Whether two entries of a short list are equal.
pub(super) fn is_repeated<T>(list: &[T], is_same: impl Fn(&T, &T) -> bool) -> bool {
    list.iter().enumerate().any(|(at, one)| list.iter().skip(at + 1).any(|other| is_same(one, other)))
}

pub(super) fn parse_list<T, E: Display>(text: &str, parse: impl Fn(&str) -> Result<T, E>) -> Result<Vec<T>, String> {
    let items: Vec<T> = text
        .split(',')
        .map(visible)
        .filter(|entry| !entry.is_empty())
        .enumerate()
        .map(|(at, entry)| parse(entry).map_err(|problem| format!("{problem} (entry {})", at + 1)))
        .collect::<Result<_, _>>()?;
    if items.is_empty() { Err("it must not be empty".to_owned()) } else { Ok(items) }
}

pub(super) fn parse_url(text: &str) -> Result<Url, String> {
    let authority = text.split_once("://").and_then(|(_, rest)| rest.split(['/', '?', '#']).next()).unwrap_or_default();
    if !authority.is_ascii() {
        return Err("its host must be ASCII: write an international name in the form that begins with xn--".to_owned());
    }
    let url = Url::parse(text).map_err(|_| "it must be a URL".to_owned())?;
    let loopback = match url.host() {
        Some(Host::Domain(name)) => is_localhost(name),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    if url.scheme() != "https" && !(url.scheme() == "http" && loopback) {
        return Err("it must be https (http is accepted on loopback only)".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it must not contain a user name or password".to_owned());
    }
    Ok(url)
}

/// Parses the app's name.
pub(super) fn parse_name(text: &str) -> Result<String, String> {
    if text.chars().count() > 100 || text.contains(char::is_control) {
        return Err("it must be 1 to 100 characters, none of them a control character".to_owned());
    }
    Ok(text.to_owned())
}

/// Parses the address where site owners get help.
pub(super) fn parse_support(text: &str) -> Result<String, String> {
    let url = Url::parse(text).ok();
    let is_mail = |url: &Url| url.scheme() == "mailto" && url.path().contains('@');
    match url.filter(is_mail) {
        Some(url) => Ok(url.into()),
        None => {
            parse_url(text).ok().filter(|url| url.scheme() == "https").map(String::from).ok_or_else(|| {
                "it must be an https URL without a user name, or mailto: and an e-mail address".to_owned()
            })
        }
    }
}

/// Parses a URL below which paths are added, without a slash at the end.
pub(super) fn parse_base(text: &str) -> Result<String, String> {
    let url = parse_url(text)?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err("it must not contain a query or a fragment".to_owned());
    }
    Ok(origin_of(&url))
}

/// Parses scheme, host and port.
pub(super) fn parse_origin(text: &str) -> Result<Url, String> {
    let url = parse_url(text)?;
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return Err("it must be scheme, host and port only".to_owned());
    }
    Ok(url)
}

/// A URL without a slash at the end.
pub(super) fn origin_of(url: &Url) -> String {
    url.as_str().trim_end_matches('/').to_owned()
}

pub(super) fn text_of(error: impl Display) -> String {
    error.to_string()
}
