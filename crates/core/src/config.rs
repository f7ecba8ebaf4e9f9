//! The configuration: parsed once into the settings of the modules. It reports all faults at once, each with its fix.

mod parse;
mod reader;
#[cfg(test)]
mod reference;

use self::parse::{
    HOUR, origin_of, parse_api_keys, parse_base, parse_hours, parse_list, parse_name, parse_origin, parse_rate,
    parse_recheck, parse_retention, parse_sealing_keys, parse_secret, parse_support, parse_url, text_of,
};
use self::reader::Reader;
use crate::crypto::{Keys, PublicKey};
use crate::delivery::{self, TargetAddress, Types};
use crate::facts::SetupPolicy;
use crate::runtime::Level;
use crate::values::{AppId, Fault, InstanceId};
use crate::web;
use crate::{instances, wix};

/// Everything that the operator sets. Vars are in `vars` of wrangler's configuration, secrets are set with
/// `npx wrangler secret put NAME`. `reference.rs` has a row for each.
///
/// An empty value counts as missing.
pub struct Config {
    pub(crate) instances: instances::Settings,
    pub(crate) web: web::Settings,
}

/// A value of the environment.
pub enum Binding {
    /// It is not set.
    Missing,
    /// A text.
    Text(String),
    /// A binding of the platform, such as a KV namespace.
    Object,
    /// Another type, such as a TOML number.
    NotText,
}

/// Adds how a var is set. A wrangler environment has its own vars and secrets. Wrangler's configuration is `wrangler.jsonc`
/// in a project of `wix-edge init`, and `wrangler.toml` in this repository.
macro_rules! var {
    ($text:literal) => {
        concat!(
            $text,
            " It goes in `vars` of wrangler's configuration (of env.NAME there, where you deploy with --env NAME)."
        )
    };
}
/// Adds how a secret is set.
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
    "Run `npx wix-edge keygen sealing-key` for an entry and put it with",
    "SEALING_KEYS",
    ". Keep a copy: without it nobody can open the refresh tokens that it seals."
);
const FIX_SEALING_KEYS_DAMAGED: &str = secret!(
    "Put your copy of the list back with",
    "SEALING_KEYS",
    ". Only where there is no copy, make a new entry with `npx wix-edge keygen sealing-key`: it cannot open what is sealed already."
);
const FIX_API_KEYS: &str =
    secret!("Run `npx wix-edge keygen api-key` for an entry and put the whole list with", "API_KEYS", ".");
const FIX_INSTANCES: &str = "Run `npx wrangler kv namespace create INSTANCES` and bind it as INSTANCES in `kv_namespaces` of wrangler's configuration (of env.NAME there, where you deploy with --env NAME).";
const FIX_EVENTS_URL: &str = var!(
    "Set EVENTS_URL to the https URL of your back end that receives events (http only on localhost), or leave it empty."
);
const FIX_EVENTS_TARGET: &str = "Bind one Worker as EVENTS_TARGET in `services` of wrangler's configuration (of env.NAME there, where you deploy with --env NAME), or set EVENTS_URL and remove that binding.";
const FIX_PLUGINS_URL: &str = var!(
    "Set PLUGINS_URL to the https URL of your back end that answers service plugin calls (http only on localhost), without a query, or leave it empty."
);
const FIX_PLUGINS_TARGET: &str = "Bind one Worker as PLUGINS_TARGET in `services` of wrangler's configuration (of env.NAME there, where you deploy with --env NAME), or set PLUGINS_URL and remove that binding.";
const FIX_EVENTS_SECRETS: &str = secret!(
    "Run `npx wix-edge keygen events-secret` for a secret, give it to your back end, and put the whole list with",
    "EVENTS_SECRETS",
    "."
);
const FIX_EVENTS_KEEP: &str = var!("Set EVENTS_KEEP_HOURS to 1 to 720, or leave it empty for 72.");
const FIX_EVENTS_RETAIN: &str = var!("Set EVENTS_RETAIN_HOURS to 0 to 168, or leave it empty for 0.");
const FIX_EVENTS_TYPES: &str = var!(
    "Set EVENTS_TYPES to a comma list of event types, each of which may end with *, or leave it empty for all types."
);
const FIX_RECHECK: &str = var!(
    "Set RECHECK_HOURS to a whole number of hours, to 0 to compare no installation with Wix, or leave it empty for 24."
);
const FIX_RETENTION: &str =
    var!("Set RETENTION_DAYS to a whole number of days, to 0 to keep records for good, or leave it empty for 365.");
const FIX_RATE: &str =
    var!("Set WIX_RATE_LIMIT to a whole number of calls a minute, to 0 for no limit, or leave it empty for 200.");
const FIX_URL: &str = var!("Set it to an https URL (http only on localhost), or leave it empty for the default.");
const FIX_SHARE: &str = var!("Set WIX_SHARE_URL_ID to the GUID at the end of the app's share link, or leave it empty.");
const FIX_FINISH: &str = var!("Set FINISH_CONFIGURATION to on-request, on-install or never.");
const FIX_NAME: &str = var!("Set APP_NAME to the app's name as site owners know it, or leave it empty.");
const FIX_SUPPORT: &str =
    var!("Set SUPPORT_URL to an https URL or to mailto: and an e-mail address, or leave it empty.");
const FIX_LOG_LEVEL: &str = var!("Set LOG_LEVEL to info, warn or error, or leave it empty for info.");
const FIX_ENVIRONMENT: &str = var!("Set ENVIRONMENT to production or development.");
const FIX_CLOCK: &str = "Remove CLOCK_OFFSET_SECONDS from `vars` of wrangler's configuration, and deploy again with `npx \
     wrangler deploy`. It is for tests, and needs ENVIRONMENT = \"development\" and a whole number.";

impl Config {
    /// Parses all values. Returns all faults.
    pub fn parse(lookup: impl Fn(&str) -> Binding) -> Result<Self, Vec<Fault>> {
        let mut read = Reader { lookup, faults: Vec::new() };

        let app_id = read.required("WIX_APP_ID", FIX_APP_ID, |text| AppId::parse(text).map_err(text_of));
        let public_keys =
            read.required("WIX_PUBLIC_KEYS", FIX_PUBLIC_KEYS, |text| PublicKey::parse_all(text).map_err(text_of));
        let app_secret = read.required("WIX_APP_SECRET", FIX_APP_SECRET, parse_secret);
        let app_secret_previous = read.optional("WIX_APP_SECRET_PREVIOUS", FIX_SECRET_PREVIOUS, parse_secret);
        let sealing_keys =
            read.required_or("SEALING_KEYS", [FIX_SEALING_KEYS, FIX_SEALING_KEYS_DAMAGED], parse_sealing_keys);
        let api_keys = read.required("API_KEYS", FIX_API_KEYS, parse_api_keys);
        let public_url = read.optional("PUBLIC_URL", FIX_URL, parse_origin);
        let api_url = read.with_default("WIX_API_URL", "https://www.wixapis.com", FIX_URL, parse_origin);
        let site_url = read.with_default("WIX_SITE_URL", "https://www.wix.com", FIX_URL, parse_origin);
        let after_install_url = read.optional("AFTER_INSTALL_URL", FIX_URL, parse_url);
        let share_url_id =
            read.optional("WIX_SHARE_URL_ID", FIX_SHARE, |text| InstanceId::parse(text).map_err(text_of));
        let setup = read.optional("FINISH_CONFIGURATION", FIX_FINISH, |text| match text {
            "on-request" => Ok(SetupPolicy::OnRequest),
            "on-install" => Ok(SetupPolicy::OnInstall),
            "never" => Ok(SetupPolicy::Never),
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
        let app_name = read.optional("APP_NAME", FIX_NAME, parse_name);
        let support_url = read.optional("SUPPORT_URL", FIX_SUPPORT, parse_support);
        let log_level = read.optional("LOG_LEVEL", FIX_LOG_LEVEL, |text| match text {
            "info" => Ok(Level::Info),
            "warn" => Ok(Level::Warn),
            "error" => Ok(Level::Error),
            _ => Err("it must be info, warn or error".to_owned()),
        });
        let events = parse_events(&mut read);
        let retention = read.with_default("RETENTION_DAYS", "365", FIX_RETENTION, parse_retention);
        let rate = read.with_default("WIX_RATE_LIMIT", "200", FIX_RATE, parse_rate);
        if !read.is_bound("INSTANCES") {
            read.fault("INSTANCES", "no KV namespace is bound".to_owned(), FIX_INSTANCES);
        }

        let keys = sealing_keys.and_then(Keys::new);
        let (Some(app_id), Some(public_keys), Some(app_secret), Some(keys), Some(api_keys)) =
            (app_id, public_keys, app_secret, keys, api_keys)
        else {
            return Err(read.faults);
        };
        let (Some(api_url), Some(site_url), true) = (api_url, site_url, read.faults.is_empty()) else {
            return Err(read.faults);
        };
        let api_url = origin_of(&api_url);
        let wix = wix::Settings { app_id, public_keys, app_secret, app_secret_previous, api_url, site_url };
        Ok(Self {
            instances: instances::Settings {
                wix,
                keys,
                setup: setup.unwrap_or(SetupPolicy::OnRequest),
                events,
                retention_seconds: retention.flatten(),
                calls_a_minute: rate.flatten(),
                clock_offset_seconds: clock_offset_seconds.unwrap_or(0),
                log_level: log_level.unwrap_or_default(),
            },
            web: web::Settings {
                public_url: public_url.map(|url| origin_of(&url)),
                after_install_url,
                share_url_id,
                api_keys,
                app_name,
                support_url,
            },
        })
    }
}

/// A target is a URL or a service binding.
fn parse_target<F: Fn(&str) -> Binding>(
    read: &mut Reader<F>,
    url: Option<String>,
    [url_name, name, fix]: [&'static str; 3],
    binding: TargetAddress,
) -> Option<TargetAddress> {
    if !read.is_bound(name) {
        read.optional(name, fix, |_| Err::<(), _>("it must be a service binding".to_owned()));
        return url.map(TargetAddress::Url);
    }
    if url.is_some() {
        let problem = format!("{url_name} is set too, and there must be one target");
        read.fault(name, problem, fix);
        return None;
    }
    Some(binding)
}

/// Parses the values of the delivery and of service plugin calls. A target needs secrets, and that of events the objects.
fn parse_events<F: Fn(&str) -> Binding>(read: &mut Reader<F>) -> delivery::Settings {
    let url = read.optional("EVENTS_URL", FIX_EVENTS_URL, |text| parse_url(text).map(String::from));
    let target = parse_target(read, url, ["EVENTS_URL", "EVENTS_TARGET", FIX_EVENTS_TARGET], TargetAddress::EVENTS);
    let url = read.optional("PLUGINS_URL", FIX_PLUGINS_URL, parse_base);
    let plugins =
        parse_target(read, url, ["PLUGINS_URL", "PLUGINS_TARGET", FIX_PLUGINS_TARGET], TargetAddress::PLUGINS);
    let parse_secrets = |text: &str| parse_list(text, delivery::parse_secret);
    let secrets = if target.is_some() || plugins.is_some() {
        read.required("EVENTS_SECRETS", FIX_EVENTS_SECRETS, parse_secrets)
    } else {
        read.optional("EVENTS_SECRETS", FIX_EVENTS_SECRETS, parse_secrets)
    };
    let keep = read.optional("EVENTS_KEEP_HOURS", FIX_EVENTS_KEEP, |text| parse_hours(text, 1..=720));
    let retain = read.optional("EVENTS_RETAIN_HOURS", FIX_EVENTS_RETAIN, |text| parse_hours(text, 0..=168));
    let types = read.optional("EVENTS_TYPES", FIX_EVENTS_TYPES, |text| parse_list(text, Types::parse));
    let recheck = read.with_default("RECHECK_HOURS", "24", FIX_RECHECK, parse_recheck);
    let is_bound = read.is_bound("INSTALLATIONS");
    if target.is_some() && !is_bound {
        let problem = "no Durable Object namespace is bound, and events cannot be delivered without it".to_owned();
        read.fault("INSTALLATIONS", problem, delivery::FIX_INSTALLATIONS);
    }
    delivery::Settings {
        is_bound,
        target,
        plugins,
        secrets: secrets.unwrap_or_default(),
        keep_millis: keep.unwrap_or(72 * HOUR),
        retain_millis: retain.unwrap_or(0),
        types: Types::new(types.unwrap_or_default()),
        recheck_seconds: recheck.flatten(),
    }
}

#[cfg(test)]
mod tests;
