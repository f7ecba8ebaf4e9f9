//! Tests only. Every value that the operator sets: the source of the tables in docs/configuration.md.

/// How a value is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A text in `vars` of wrangler's configuration.
    Var,
    /// `npx wrangler secret put NAME`.
    Secret,
    /// A binding of this type in wrangler's configuration.
    Binding(&'static str),
}

/// Whether and when a value must be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Always.
    Required,
    /// In this case.
    RequiredWith(&'static str),
    /// Never. This counts if it is not set.
    Default(&'static str),
    /// Never. In words, what its absence means.
    Without(&'static str),
}

/// One value.
pub struct Value {
    /// Its name.
    pub name: &'static str,
    /// How it is set.
    pub kind: Kind,
    /// Whether it must be set.
    pub need: Need,
    /// What it must be.
    pub form: &'static str,
    /// What it does.
    pub meaning: &'static str,
}

/// Values that belong together.
pub struct Group {
    /// The heading.
    pub title: &'static str,
    /// The values.
    pub values: &'static [Value],
}

const fn var(name: &'static str, need: Need, form: &'static str, meaning: &'static str) -> Value {
    Value { name, kind: Kind::Var, need, form, meaning }
}

const fn secret(name: &'static str, need: Need, form: &'static str, meaning: &'static str) -> Value {
    Value { name, kind: Kind::Secret, need, form, meaning }
}

const fn binding(
    kind: &'static str,
    name: &'static str,
    need: Need,
    form: &'static str,
    meaning: &'static str,
) -> Value {
    Value { name, kind: Kind::Binding(kind), need, form, meaning }
}

use Need::{Default, Required, RequiredWith, Without};

const HTTPS: &str = "an https URL; plain http on loopback only";
const ORIGIN: &str = "an https URL without a path; plain http on loopback only";

/// All values.
pub const GROUPS: &[Group] = &[
    Group { title: "The app and its keys", values: APP },
    Group { title: "Installations", values: INSTALLATION },
    Group { title: "Events and service plugins", values: EVENTS },
    Group { title: "Operation", values: OPERATION },
    Group { title: "Development and tests", values: DEVELOPMENT },
];

const APP: &[Value] = &[
    var("WIX_APP_ID", Required, "a GUID", "The app's id: Wix app dashboard, Develop, OAuth."),
    secret(
        "WIX_APP_SECRET",
        Required,
        "as the dashboard shows it",
        "The app secret: Wix app dashboard, Develop, OAuth. The Worker requests tokens with it and verifies signed instances.",
    ),
    secret(
        "WIX_APP_SECRET_PREVIOUS",
        Without("one secret counts"),
        "as `WIX_APP_SECRET`",
        "The previous app secret, during a rotation. Wix is asked with it where it refuses the new one.",
    ),
    var(
        "WIX_PUBLIC_KEYS",
        Required,
        "one or more keys: PEM, PEM on one line with `\\n`, or base64",
        "The webhook public key: Wix app dashboard, Develop, Webhooks, Get Public Key. Any of the keys may verify a message.",
    ),
    secret(
        "SEALING_KEYS",
        Required,
        "a comma-separated list of `id:base64(32 bytes)`",
        "The keys that encrypt tokens in KV. The first one encrypts, any of them decrypts. Keep a copy: without it the \
         stored refresh tokens are lost. `npx wix-edge keygen sealing-key` makes an entry.",
    ),
    secret(
        "API_KEYS",
        Required,
        "a comma-separated list of `name:sha256-hex-of-key[:scope+scope…]`",
        "The programs that may call the app API. The scopes are `token`, `instances`, `events`, `proxy` and `admin`; an \
         entry without scopes has all but `admin`. A key is printable ASCII without blanks. `npx wix-edge keygen api-key` makes \
         one with its entry.",
    ),
    binding("KV namespace", "INSTANCES", Required, "`kv_namespaces`", "The stored installations and tokens."),
];

const INSTALLATION: &[Value] = &[
    var(
        "PUBLIC_URL",
        Without("that of the request"),
        ORIGIN,
        "The origin that Wix and browsers use, if it differs from that of the request. A flow that begins elsewhere begins \
         again there.",
    ),
    var(
        "AFTER_INSTALL_URL",
        Without("Wix's page that closes the window, or `/connected/done`"),
        HTTPS,
        "The page to which the browser goes after an installation. Its query gets `handoff`, or `error` and `ref` ([hand-over]\
         (api.md#hand-over-of-a-customer)); its own query and fragment stay.",
    ),
    var(
        "FINISH_CONFIGURATION",
        Default("on-request"),
        "`on-request`, `on-install` or `never`",
        "When the Worker sends `APP_FINISHED_CONFIGURATION`. Once an app has sent it for the first time, Wix shows a setup \
         badge on every new installation until the app sends it for that installation too.",
    ),
    var(
        "WIX_SHARE_URL_ID",
        Without("`/connect` needs the parameter `shareUrlId`, unless the app is listed"),
        "a GUID",
        "The GUID at the end of the app's share link, which Wix needs while the app is not listed in the App Market: the \
         default `shareUrlId` of `/connect`.",
    ),
    var(
        "APP_NAME",
        Without("the pages name no app"),
        "1 to 100 characters",
        "The app's name, which the pages for site owners show.",
    ),
    var(
        "SUPPORT_URL",
        Without("the pages have no such link"),
        "an https URL, or `mailto:` and an e-mail address",
        "Where site owners get help: a link on each page for them.",
    ),
    binding(
        "rate limiter",
        "RATE_LIMITER",
        Without("no limit"),
        "`ratelimits`; the template sets 30 a minute",
        "How many flows one client address (for IPv6 the /64) may begin at `/install` and `/connect`. Further ones are \
         answered 429 `too_many_flows`.",
    ),
];

const EVENTS: &[Value] = &[
    binding(
        "Durable Object namespace",
        "INSTALLATIONS",
        RequiredWith("a target for events"),
        "`durable_objects`, class `Installation`",
        "One object for each installation, which stores and delivers its events. The template binds it.",
    ),
    var(
        "EVENTS_URL",
        Without("no events are delivered"),
        HTTPS,
        "The address of your back end to which the Worker delivers events.",
    ),
    binding(
        "service",
        "EVENTS_TARGET",
        Without("no events are delivered"),
        "`services`; not with `EVENTS_URL`",
        "Another Worker of your account that receives the events, at `https://wix-edge/events`.",
    ),
    var(
        "PLUGINS_URL",
        Without("service plugin calls are answered 404"),
        "an https URL without a query; plain http on loopback only",
        "The address of your back end to which the Worker forwards [service plugin calls](plugins.md). The path of the call is \
         appended.",
    ),
    binding(
        "service",
        "PLUGINS_TARGET",
        Without("service plugin calls are answered 404"),
        "`services`; not with `PLUGINS_URL`",
        "Another Worker of your account that answers them, at `https://wix-edge/plugins/…`.",
    ),
    secret(
        "EVENTS_SECRETS",
        RequiredWith("a target for events or plugin calls"),
        "a comma-separated list of `whsec_` and the base64 of 24 to 64 bytes, which must not all be equal",
        "Each secret signs every event and every service plugin call. `npx wix-edge keygen events-secret` makes one.",
    ),
    var(
        "EVENTS_KEEP_HOURS",
        Default("72"),
        "1 to 720",
        "For how many hours the Worker tries to deliver an event before it parks it.",
    ),
    var(
        "EVENTS_RETAIN_HOURS",
        Default("0"),
        "0 to 168",
        "For how many hours the content of an event is kept after its delivery. Any other value than 0 costs more written \
         rows.",
    ),
    var(
        "EVENTS_TYPES",
        Without("all types"),
        "a comma-separated list; each may end with `*`, as `wix.ecom.*`",
        "The event types to deliver.",
    ),
];

const OPERATION: &[Value] = &[
    var(
        "LOG_LEVEL",
        Default("info"),
        "`info`, `warn` or `error`",
        "The least severe line that the Worker writes into the log.",
    ),
    binding(
        "Analytics Engine dataset",
        "METRICS",
        Without("no data points"),
        "`[[analytics_engine_datasets]]`",
        "Gets a data point for each request, delivery and run of the Cron Trigger ([metrics](metrics.md)).",
    ),
    var(
        "RECHECK_HOURS",
        Default("24"),
        "0 to 8,760; 0 never",
        "How often the Worker compares each installation with Wix, to find an installation, removal or plan whose webhook was \
         lost.",
    ),
    var(
        "RETENTION_DAYS",
        Default("365"),
        "0 to 36,500; 0 keeps it for good",
        "For how many days the Worker keeps the record of an installation after its removal, before it erases it.",
    ),
    var(
        "WIX_RATE_LIMIT",
        Default("200"),
        "0 to 100,000; 0 no limit",
        "How many calls a minute the Worker makes to Wix for one installation, for tokens and by the proxy. It answers further ones with 429 `wix_rate_limit`.",
    ),
];

const DEVELOPMENT: &[Value] = &[
    var(
        "ENVIRONMENT",
        Default("production"),
        "`production` or `development`",
        "`development` allows `CLOCK_OFFSET_SECONDS`.",
    ),
    var("WIX_API_URL", Default("https://www.wixapis.com"), ORIGIN, "Another host in place of Wix's APIs, for tests."),
    var("WIX_SITE_URL", Default("https://www.wix.com"), ORIGIN, "Another host in place of Wix's installer, for tests."),
    var(
        "CLOCK_OFFSET_SECONDS",
        Default("0"),
        "a whole number; not in production",
        "Seconds that the Worker adds to the real time.",
    ),
];

/// The tables, in Markdown.
pub fn tables() -> String {
    GROUPS.iter().map(table).collect()
}

fn table(group: &Group) -> String {
    let rows: String = group.values.iter().map(row).collect();
    let head = "| Name | Set as | Form | If not set | Meaning |\n|---|---|---|---|---|\n";
    format!("## {}\n\n{head}{rows}\n", group.title)
}

fn row(Value { name, kind, need, form, meaning }: &Value) -> String {
    let kind = match kind {
        Kind::Var => "var",
        Kind::Secret => "secret",
        Kind::Binding(kind) => kind,
    };
    let need = match need {
        Required => "**required**".to_owned(),
        RequiredWith(case) => format!("**required** with {case}"),
        Default(value) => format!("`{value}`"),
        Without(meaning) => (*meaning).to_owned(),
    };
    format!("| `{name}` | {kind} | {form} | {need} | {meaning} |\n")
}

#[cfg(test)]
mod tests;
