//! What the configuration says about delivery.

use crate::values::{Fault, SigningSecret};

/// How the operator binds the objects.
pub const FIX_INSTALLATIONS: &str = "Bind the class Installation as INSTALLATIONS in `durable_objects` of wrangler's configuration (of env.NAME there, where you deploy with --env NAME), and add `migrations` with it in new_sqlite_classes.";
const FIX_NO_TARGET: &str = "To deliver events to your back end, set EVENTS_URL in `vars` of wrangler's configuration, or bind a Worker as EVENTS_TARGET, and put EVENTS_SECRETS with `npx wrangler secret put EVENTS_SECRETS`.";

/// See the module.
pub struct Settings {
    /// Whether `INSTALLATIONS` is bound.
    pub is_bound: bool,
    /// `EVENTS_URL` or `EVENTS_TARGET`
    pub target: Option<TargetAddress>,
    /// `PLUGINS_URL`, without a slash at the end, or `PLUGINS_TARGET`
    pub plugins: Option<TargetAddress>,
    /// `EVENTS_SECRETS`: each signs.
    pub secrets: Vec<SigningSecret>,
    /// `EVENTS_KEEP_HOURS`, in milliseconds.
    pub keep_millis: u64,
    /// `EVENTS_RETAIN_HOURS`, in milliseconds.
    pub retain_millis: u64,
    /// `EVENTS_TYPES`
    pub types: Types,
    /// `RECHECK_HOURS`, in seconds; `None` if installations are not compared with Wix.
    pub recheck_seconds: Option<u64>,
}

/// Where events are delivered, or service plugin calls are forwarded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetAddress {
    /// A URL.
    Url(String),
    /// A service binding.
    Binding {
        /// Its name.
        name: &'static str,
        /// The URL that the other Worker sees.
        url: &'static str,
    },
}

impl TargetAddress {
    /// The service binding `EVENTS_TARGET`.
    pub const EVENTS: Self = Self::Binding { name: "EVENTS_TARGET", url: "https://wix-edge/events" };
    /// The service binding `PLUGINS_TARGET`.
    pub const PLUGINS: Self = Self::Binding { name: "PLUGINS_TARGET", url: "https://wix-edge/plugins" };

    /// The URL.
    #[must_use]
    pub fn url(&self) -> &str {
        match self {
            Self::Url(url) => url,
            Self::Binding { url, .. } => url,
        }
    }

    /// The name of the service binding.
    #[must_use]
    pub fn binding(&self) -> Option<&'static str> {
        match self {
            Self::Url(_) => None,
            Self::Binding { name, .. } => Some(name),
        }
    }
}

/// The event types that are delivered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Types(Vec<String>);

impl Types {
    /// Takes the list. An empty one means all types.
    #[must_use]
    pub fn new(types: Vec<String>) -> Self {
        Self(types)
    }

    /// Parses one entry: a type, or the beginning of types with `*` behind it.
    pub fn parse(text: &str) -> Result<String, &'static str> {
        let name = text.strip_suffix('*').unwrap_or(text);
        if name.contains('*') {
            return Err("an asterisk must be the last character of a type");
        }
        let is_plain = name.bytes().all(|byte| byte.is_ascii_graphic());
        if is_plain { Ok(text.to_owned()) } else { Err("a type must be printable ASCII without spaces") }
    }

    /// Whether events of a type are delivered.
    #[must_use]
    pub fn contains(&self, event_type: &str) -> bool {
        let matches = |known: &String| match known.strip_suffix('*') {
            Some(start) => event_type.starts_with(start),
            None => known == event_type,
        };
        self.0.is_empty() || self.0.iter().any(matches)
    }
}

impl Settings {
    /// Whether events are stored and delivered.
    #[must_use]
    pub fn is_delivering(&self) -> bool {
        self.is_bound && self.target.is_some()
    }

    /// Whether events of a type are stored and delivered.
    #[must_use]
    pub fn wants(&self, event_type: &str) -> bool {
        self.is_delivering() && self.types.contains(event_type)
    }

    /// What `/readyz` notes.
    #[must_use]
    pub fn notes(&self) -> Vec<Fault> {
        let mut notes = Vec::new();
        if self.target.is_none() {
            let problem = "no target for events is set: events are verified, answered 200 and not kept".to_owned();
            notes.push(Fault { name: "EVENTS_URL", problem, fix: FIX_NO_TARGET });
        }
        if !self.is_bound {
            let problem = "no Durable Object namespace is bound: events cannot be delivered".to_owned();
            notes.push(Fault { name: "INSTALLATIONS", problem, fix: FIX_INSTALLATIONS });
        }
        notes
    }
}
