//! The configuration: read once, every bad value named at once with what mends it.

use serde::Serialize;
use url::{Host, Url};

use crate::api_key::ApiKey;
use crate::id::AppId;
use crate::public_key::PublicKey;
use crate::request::is_localhost;
use crate::seal::SealingKey;
use crate::secret::AppSecret;
use crate::state::StateKey;

/// Everything the operator sets. Vars are in `wrangler.toml` under `[vars]`, secrets are put with
/// `npx wrangler secret put NAME`.
///
/// | Name | Kind | Meaning |
/// |---|---|---|
/// | `INSTANCES` | KV namespace | instance and refresh-token records |
/// | `WIX_APP_ID` | var | the app's id |
/// | `WIX_PUBLIC_KEYS` | var | the app's public key(s), see [`PublicKey::parse_all`] |
/// | `WIX_APP_SECRET` | secret | the app secret |
/// | `WIX_APP_SECRET_PREVIOUS` | secret, optional | the one before it, while rotating |
/// | `SEALING_KEYS` | secret | comma list `id:base64(32 bytes)`; the first seals, all open |
/// | `API_KEYS` | secret | comma list `name:sha256-hex-of-key[:scope+scope…]` |
/// | `PUBLIC_URL` | var, optional | origin that Wix and browsers see; default: the request's own |
/// | `WIX_API_URL` | var, optional | default `https://www.wixapis.com` |
/// | `WIX_SITE_URL` | var, optional | default `https://www.wix.com` |
/// | `FINISH_CONFIGURATION` | var, optional | `on-request` (default), `on-install`, `never` |
/// | `AFTER_INSTALL_URL` | var, optional | where the browser goes instead of Wix's close-window page |
/// | `ENVIRONMENT` | var, optional | `production` (default) or `development` |
/// | `CLOCK_OFFSET_SECONDS` | var, optional | development only: how far ahead of the real clock to live |
///
/// An empty value is a missing one.
pub struct Config {
    /// `WIX_APP_ID`
    pub app_id: AppId,
    /// `WIX_PUBLIC_KEYS`, at least one.
    pub public_keys: Vec<PublicKey>,
    /// `WIX_APP_SECRET`
    pub app_secret: AppSecret,
    /// `WIX_APP_SECRET_PREVIOUS`
    pub app_secret_previous: Option<AppSecret>,
    /// The first of `SEALING_KEYS`.
    pub sealing_key: SealingKey,
    /// All of `SEALING_KEYS`.
    pub sealing_keys: Vec<SealingKey>,
    /// One for each of `SEALING_KEYS`, in their order.
    pub state_keys: Vec<StateKey>,
    /// `API_KEYS`
    pub api_keys: Vec<ApiKey>,
    /// `PUBLIC_URL`, without a slash at the end.
    pub public_url: Option<String>,
    /// `WIX_API_URL`, without a slash at the end.
    pub wix_api_url: String,
    /// `WIX_SITE_URL`, without a slash at the end.
    pub wix_site_url: String,
    /// `FINISH_CONFIGURATION`
    pub finish_configuration: FinishConfiguration,
    /// `AFTER_INSTALL_URL`
    pub after_install_url: Option<String>,
    /// `CLOCK_OFFSET_SECONDS`
    pub clock_offset_seconds: i64,
}

/// When `APP_FINISHED_CONFIGURATION` is sent. Wix shows the setup badge for every instance of an app that has ever sent
/// it, until it is sent for that instance: always or never, then (Wix's rules 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FinishConfiguration {
    /// When the app's back end asks for it.
    OnRequest,
    /// As soon as an instance is installed.
    OnInstall,
    /// Not at all.
    Never,
}

/// A value as the platform holds it.
pub enum Binding {
    /// There is none.
    Missing,
    /// A text.
    Text(String),
    /// Something else, such as a TOML number.
    NotText,
}

/// A value that is missing or malformed, and what mends it. Holds no part of the value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// The name in the configuration.
    pub name: &'static str,
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub fix: &'static str,
}

/// Where a var is set. A wrangler environment has vars and secrets of its own.
macro_rules! var {
    ($text:literal) => {
        concat!(
            $text,
            " It goes under [vars] in wrangler.toml, or under [env.NAME.vars] where you deploy with --env NAME."
        )
    };
}
/// How a secret is put.
macro_rules! secret {
    ($before:literal, $name:literal, $after:literal) => {
        concat!($before, " `npx wrangler secret put ", $name, "` (with `--env NAME` where you deploy with it)", $after)
    };
}
const FIX_APP_ID: &str = var!("Set WIX_APP_ID to the App ID: Wix app dashboard, Develop, OAuth.");
const FIX_PUBLIC_KEYS: &str =
    var!("Set WIX_PUBLIC_KEYS to the public key: Wix app dashboard, Develop, Webhooks, Get Public Key.");
const FIX_APP_SECRET: &str =
    secret!("Run", "WIX_APP_SECRET", " and paste the App Secret Key: Wix app dashboard, Develop, OAuth.");
const FIX_SECRET_PREVIOUS: &str = "Run `npx wrangler secret delete WIX_APP_SECRET_PREVIOUS` (with `--env NAME` where you deploy with it), or put the former secret.";
const FIX_SEALING_KEYS: &str = secret!(
    "Run `cargo xtask keygen sealing-key` for an entry and put it with",
    "SEALING_KEYS",
    ". Keep a copy: without it nobody can open the refresh tokens that it seals."
);
const FIX_SEALING_KEYS_DAMAGED: &str = secret!(
    "Put your copy of the list back with",
    "SEALING_KEYS",
    ". Only where there is no copy, make a new entry with `cargo xtask keygen sealing-key`: it cannot open what is sealed already."
);
const FIX_API_KEYS: &str =
    secret!("Run `cargo xtask keygen api-key` for an entry and put the whole list with", "API_KEYS", ".");
const FIX_INSTANCES: &str = "Run `npx wrangler kv namespace create INSTANCES` and bind it as INSTANCES under [[kv_namespaces]] in wrangler.toml, or under [[env.NAME.kv_namespaces]] where you deploy with --env NAME.";
const FIX_URL: &str = var!("Set it to an https URL (http only on localhost), or leave it empty for the default.");
const FIX_FINISH: &str = var!("Set FINISH_CONFIGURATION to on-request, on-install or never.");
const FIX_ENVIRONMENT: &str = var!("Set ENVIRONMENT to production or development.");
const FIX_CLOCK: &str =
    "Remove CLOCK_OFFSET_SECONDS; it is for tests, and needs ENVIRONMENT = \"development\" and a whole number.";

impl Config {
    /// Reads all values and names every fault.
    pub fn parse(lookup: impl Fn(&str) -> Binding, kv_is_bound: bool) -> Result<Self, Vec<Fault>> {
        let mut read = Reader { lookup, faults: Vec::new() };

        let app_id =
            read.required("WIX_APP_ID", FIX_APP_ID, |text| AppId::parse(text).map_err(|error| error.to_string()));
        let public_keys =
            read.required("WIX_PUBLIC_KEYS", FIX_PUBLIC_KEYS, |text| PublicKey::parse_all(text).map_err(str::to_owned));
        let app_secret = read.required("WIX_APP_SECRET", FIX_APP_SECRET, parse_secret);
        let app_secret_previous = read.optional("WIX_APP_SECRET_PREVIOUS", FIX_SECRET_PREVIOUS, parse_secret);
        let sealing_keys =
            read.required_or("SEALING_KEYS", [FIX_SEALING_KEYS, FIX_SEALING_KEYS_DAMAGED], parse_sealing_keys);
        let api_keys = read.required("API_KEYS", FIX_API_KEYS, parse_api_keys);
        let public_url = read.optional("PUBLIC_URL", FIX_URL, parse_origin);
        let wix_api_url = read.optional("WIX_API_URL", FIX_URL, parse_origin);
        let wix_site_url = read.optional("WIX_SITE_URL", FIX_URL, parse_origin);
        let after_install_url = read.optional("AFTER_INSTALL_URL", FIX_URL, |text| parse_url(text).map(String::from));
        let finish_configuration = read.optional("FINISH_CONFIGURATION", FIX_FINISH, |text| match text {
            "on-request" => Ok(FinishConfiguration::OnRequest),
            "on-install" => Ok(FinishConfiguration::OnInstall),
            "never" => Ok(FinishConfiguration::Never),
            _ => Err("it must be on-request, on-install or never".to_owned()),
        });
        let development = read.optional("ENVIRONMENT", FIX_ENVIRONMENT, |text| match text {
            "production" => Ok(false),
            "development" => Ok(true),
            _ => Err("it must be production or development".to_owned()),
        });
        let clock_offset_seconds = read.optional("CLOCK_OFFSET_SECONDS", FIX_CLOCK, |text| match text.parse() {
            Ok(0) => Ok(0),
            Ok(_) if development != Some(true) => Err("it must not be set in production".to_owned()),
            Ok(offset) => Ok(offset),
            Err(_) => Err("it must be a whole number".to_owned()),
        });
        if !kv_is_bound {
            read.fault("INSTANCES", "no KV namespace is bound".to_owned(), FIX_INSTANCES);
        }

        let (Some(app_id), Some(public_keys), Some(app_secret), Some(sealing_keys), Some(api_keys), true) =
            (app_id, public_keys, app_secret, sealing_keys, api_keys, read.faults.is_empty())
        else {
            return Err(read.faults);
        };
        let Some(sealing_key) = sealing_keys.first().cloned() else { return Err(read.faults) };
        Ok(Self {
            app_id,
            public_keys,
            app_secret,
            app_secret_previous,
            state_keys: sealing_keys.iter().map(StateKey::derive).collect(),
            sealing_key,
            sealing_keys,
            api_keys,
            public_url,
            wix_api_url: wix_api_url.unwrap_or_else(|| "https://www.wixapis.com".to_owned()),
            wix_site_url: wix_site_url.unwrap_or_else(|| "https://www.wix.com".to_owned()),
            finish_configuration: finish_configuration.unwrap_or(FinishConfiguration::OnRequest),
            after_install_url,
            clock_offset_seconds: clock_offset_seconds.unwrap_or(0),
        })
    }

    /// The app secret, and the one before it while rotating.
    pub fn app_secrets(&self) -> impl Iterator<Item = &AppSecret> {
        std::iter::once(&self.app_secret).chain(&self.app_secret_previous)
    }
}

struct Reader<F> {
    lookup: F,
    faults: Vec<Fault>,
}

impl<F: Fn(&str) -> Binding> Reader<F> {
    fn fault(&mut self, name: &'static str, problem: String, fix: &'static str) {
        self.faults.push(Fault { name, problem, fix });
    }

    fn optional<T>(
        &mut self,
        name: &'static str,
        fix: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        match (self.lookup)(name) {
            Binding::Missing => None,
            Binding::Text(text) if visible(&text).is_empty() => None,
            Binding::Text(text) => match parse(visible(&text)) {
                Ok(value) => Some(value),
                Err(problem) => {
                    self.fault(name, problem, fix);
                    None
                }
            },
            Binding::NotText => {
                self.fault(name, "it must be text: put the value in quotes".to_owned(), fix);
                None
            }
        }
    }

    fn required<T>(
        &mut self,
        name: &'static str,
        fix: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        self.required_or(name, [fix, fix], parse)
    }

    /// The first fix is for a value that is missing, the second for one that is malformed.
    fn required_or<T>(
        &mut self,
        name: &'static str,
        [missing, malformed]: [&'static str; 2],
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let before = self.faults.len();
        let value = self.optional(name, malformed, parse);
        if value.is_none() && self.faults.len() == before {
            self.fault(name, "it is missing".to_owned(), missing);
        }
        value
    }
}

/// A value without what cannot be seen around it: blanks, line breaks, a byte order mark, and the like.
fn visible(text: &str) -> &str {
    const INVISIBLE: [char; 6] = ['\u{feff}', '\u{200b}', '\u{200c}', '\u{200d}', '\u{2060}', '\u{0}'];
    text.trim_matches(|char: char| char.is_whitespace() || INVISIBLE.contains(&char))
}

fn parse_secret(text: &str) -> Result<AppSecret, String> {
    if text.len() < 8 {
        return Err("it must have 8 characters or more".to_owned());
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("it must be printable ASCII without blanks".to_owned());
    }
    if text.contains(['"', '\'', '`']) {
        return Err("it must stand without quotes".to_owned());
    }
    Ok(AppSecret::new(text))
}

fn parse_sealing_keys(text: &str) -> Result<Vec<SealingKey>, String> {
    let keys = parse_list(text, SealingKey::parse)?;
    if is_repeated(&keys, |one, other| one.id() == other.id()) {
        return Err("two keys have the same id".to_owned());
    }
    let is_same = |one: &SealingKey, other: &SealingKey| one.key().expose() == other.key().expose();
    if is_repeated(&keys, is_same) { Err("two ids have the same key".to_owned()) } else { Ok(keys) }
}

/// Of one hash in two entries the wider scopes would count.
fn parse_api_keys(text: &str) -> Result<Vec<ApiKey>, String> {
    let keys = parse_list(text, ApiKey::parse)?;
    let is_same = |one: &ApiKey, other: &ApiKey| one.hash() == other.hash();
    if is_repeated(&keys, is_same) { Err("two entries have the same hash".to_owned()) } else { Ok(keys) }
}

/// Whether two entries of a short list are alike.
fn is_repeated<T>(list: &[T], is_same: impl Fn(&T, &T) -> bool) -> bool {
    list.iter().enumerate().any(|(at, one)| list.iter().skip(at + 1).any(|other| is_same(one, other)))
}

fn parse_list<T>(text: &str, parse: impl Fn(&str) -> Result<T, &'static str>) -> Result<Vec<T>, String> {
    let items: Vec<T> = text
        .split(',')
        .map(visible)
        .filter(|entry| !entry.is_empty())
        .enumerate()
        .map(|(at, entry)| parse(entry).map_err(|problem| format!("{problem} (entry {})", at + 1)))
        .collect::<Result<_, _>>()?;
    if items.is_empty() { Err("it must not be empty".to_owned()) } else { Ok(items) }
}

fn parse_url(text: &str) -> Result<Url, String> {
    let authority = text.split_once("://").and_then(|(_, rest)| rest.split(['/', '?', '#']).next()).unwrap_or_default();
    if !authority.is_ascii() {
        return Err("its host has characters beyond ASCII: write it in the form that begins with xn--".to_owned());
    }
    let url = Url::parse(text).map_err(|_| "it must be a URL".to_owned())?;
    let loopback = match url.host() {
        Some(Host::Domain(name)) => is_localhost(name),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    if url.scheme() != "https" && !(url.scheme() == "http" && loopback) {
        return Err("it must be https (plain http is taken on loopback only)".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it must not hold a user name or password".to_owned());
    }
    Ok(url)
}

/// Scheme, host and port, without a slash at the end.
fn parse_origin(text: &str) -> Result<String, String> {
    let url = parse_url(text)?;
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return Err("it must be scheme, host and port only".to_owned());
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
