//! `cargo xtask keygen`: random keys, their configuration entries, and how to add an entry without losing another one:
//! Cloudflare does not show a secret again, and `wrangler secret put` replaces the whole value.

use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use clap::{Args, Subcommand};
use sha2::{Digest as _, Sha256};

/// The scopes of the Worker's `API_KEYS`.
pub const SCOPES: [&str; 5] = ["token", "instances", "events", "proxy", "admin"];
/// The longest name of a key that the Worker accepts.
const NAME_LIMIT: usize = 64;

/// `cargo xtask keygen`
#[derive(Debug, Args)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub struct Options {
    #[command(subcommand)]
    kind: Kind,
}

#[derive(Debug, Subcommand)]
enum Kind {
    /// A key for a program that calls the app API, and its entry for `API_KEYS`
    ApiKey(ApiKeyOptions),
    /// An entry for `SEALING_KEYS`; the Worker seals refresh tokens with it before it stores them
    SealingKey,
    /// A secret for `EVENTS_SECRETS`, with which the Worker signs what it sends to the app's back end
    EventsSecret,
}

#[derive(Debug, Args)]
struct ApiKeyOptions {
    /// The key's name, which is the field `client` of the Worker's log: 1 to 64 letters, digits, `-`, `_` or `.`, different
    /// from all other names [default: a new name such as backend-2026-11-25-7f3a]
    #[arg(long)]
    name: Option<String>,
    /// Its scopes, joined by "+": token, instances, events, proxy, admin
    #[arg(long, default_value = "token+instances+events+proxy")]
    scopes: String,
}

/// Generates a key and prints it with instructions.
pub fn run(options: &Options) -> Result<()> {
    let text = match &options.kind {
        Kind::ApiKey(ApiKeyOptions { name, scopes }) => {
            let name = name.clone().map_or_else(new_name, Ok)?;
            api_key_text(&name, &ApiKey::generate(&name, scopes)?)
        }
        Kind::SealingKey => sealing_key_text(&sealing_key()?),
        Kind::EventsSecret => events_secret_text(&events_secret()?),
    };
    println!("{text}");
    Ok(())
}

/// The text for an API key.
fn api_key_text(name: &str, ApiKey { secret, entry }: &ApiKey) -> String {
    format!(
        "\
API key \"{name}\". The client sends it as `Authorization: Bearer <key>`. It is shown only now:

  {secret}

Its entry for API_KEYS, which holds a hash and not the key:

  {entry}

Cloudflare never shows a secret again, and `wrangler secret put` REPLACES the whole value. So keep the whole
list, such as in a password manager, and always enter the whole list.

If API_KEYS is not set yet, the list is the entry above: keep it, and enter it at

  npx wrangler secret put API_KEYS

If it is set, take the list that you keep, <the old list>:

  1. Add the new entry behind the others, and keep the result:

       <the old list>,{entry}

     Its name must differ from all others: by the name, the field `client` of the Worker's log tells which key
     is used.
  2. Enter the whole list:

       npx wrangler secret put API_KEYS

To replace an old key, continue when the new list is live everywhere, after some minutes:

  3. Move the client over to the new key.
  4. When the log no longer shows the old key's name, remove the old entry from the list, keep the result, and
     enter the whole list again:

       npx wrangler secret put API_KEYS

If you do not have the list any more: the list that you enter locks out every client whose entry is not in it.
Generate a new key for each client first."
    )
}

/// The text for a sealing key.
fn sealing_key_text(entry: &str) -> String {
    format!(
        "\
An entry for SEALING_KEYS. It is shown only now:

  {entry}

Only the key that sealed a token can open it. Cloudflare never shows a secret again, and
`wrangler secret put` REPLACES the whole value. So keep the whole list, such as in a password manager, and always
enter the whole list.

If SEALING_KEYS is not set yet, the list is the entry above: keep it, and enter it at

  npx wrangler secret put SEALING_KEYS

If it is set, take the list that you keep, <the old list>. Its first entry seals, all entries open:

  1. APPEND the new entry behind the old ones, keep the result, and enter the whole list:

       <the old list>,{entry}

       npx wrangler secret put SEALING_KEYS

  2. Wait until the list is live everywhere; ten minutes are enough. Until then some of Cloudflare's machines do
     not have the new key and could not open tokens that others seal with it.
  3. Move the new entry to the front, so that it is there once and the old ones follow it, keep the result, and
     enter the whole list:

       {entry},<the old list>

       npx wrangler secret put SEALING_KEYS

  4. Keep the old entries in the list: they open the refresh tokens that they sealed.

If you do not have the list any more, leave SEALING_KEYS as it is: the Worker continues with it. If you entered only
this entry, every refresh token would be lost, and those installations would continue by client credentials."
    )
}

/// What is printed with a secret for events.
fn events_secret_text(secret: &str) -> String {
    format!(
        "\
A secret for EVENTS_SECRETS, in the form of the Standard Webhooks specification:

  {secret}

Give it to your back end, which verifies events with it. If EVENTS_SECRETS is not set yet, enter it at

  npx wrangler secret put EVENTS_SECRETS

To replace an old secret, <old>, without a failed verification, enter both, joined by a comma: every one signs.

  {secret},<old>

When your back end verifies with the new secret, enter that alone."
    )
}

/// A new name for an API key: the day, and random digits that tell keys of the same day apart.
fn new_name() -> Result<String> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is before 1970")?;
    Ok(format!("backend-{}-{}", date(since.as_secs() / 86_400), hex(&random::<2>()?)))
}

/// The date of a day, counted from 1970-01-01.
fn date(day: u64) -> String {
    let (mut year, mut rest) = (1970, day);
    let is_leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    loop {
        let length = if is_leap(year) { 366 } else { 365 };
        if rest < length {
            break;
        }
        (year, rest) = (year + 1, rest - length);
    }
    let february = if is_leap(year) { 29 } else { 28 };
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if rest < length {
            break;
        }
        (month, rest) = (month + 1, rest - length);
    }
    format!("{year}-{month:02}-{:02}", rest + 1)
}

/// A key for the app API.
#[derive(Debug)]
pub struct ApiKey {
    /// The key that the client sends.
    pub secret: String,
    /// The entry for the Worker's configuration: `name:sha256-hex:scope+scope`.
    pub entry: String,
}

impl ApiKey {
    /// Generates a key of 256 bits.
    pub fn generate(name: &str, scopes: &str) -> Result<Self> {
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || name.len() > NAME_LIMIT || !name.chars().all(is_name) {
            bail!("a key's name must be 1 to {NAME_LIMIT} letters, digits, `-`, `_` or `.`; `{name}` is not");
        }
        if let Some(unknown) = scopes.split('+').find(|scope| !SCOPES.contains(scope)) {
            bail!("scopes must be some of {}, joined by `+`; `{unknown}` is not one of them", SCOPES.join(", "));
        }
        let secret = URL_SAFE_NO_PAD.encode(random::<32>()?);
        let entry = format!("{name}:{}:{scopes}", hex(&Sha256::digest(secret.as_bytes())));
        Ok(Self { secret, entry })
    }
}

/// An entry for `SEALING_KEYS`: `id:base64(32 bytes)`. The id is random too, so that no two keys share one.
pub fn sealing_key() -> Result<String> {
    Ok(format!("k{}:{}", hex(&random::<3>()?), STANDARD.encode(random::<32>()?)))
}

/// A secret for `EVENTS_SECRETS`: `whsec_` and the base64 of 32 bytes.
pub fn events_secret() -> Result<String> {
    Ok(format!("whsec_{}", STANDARD.encode(random::<32>()?)))
}

/// Random bytes from the operating system.
pub fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).context("the operating system provides no random bytes")?;
    Ok(bytes)
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::{ApiKey, api_key_text, date, hex, new_name, sealing_key, sealing_key_text};
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use sha2::{Digest as _, Sha256};

    #[test]
    fn an_entry_holds_the_hash_and_not_the_key() {
        let key = ApiKey::generate("dev", "token+admin").expect("sound");
        let hash = hex(&Sha256::digest(key.secret.as_bytes()));
        assert_eq!(key.entry, format!("dev:{hash}:token+admin"));
        assert!(!key.entry.contains(&key.secret));
    }

    #[test]
    fn no_two_keys_are_alike() {
        let one = ApiKey::generate("dev", "token").expect("sound");
        let two = ApiKey::generate("dev", "token").expect("sound");
        assert_ne!(one.secret, two.secret);
    }

    #[test]
    fn an_unknown_scope_is_named() {
        let error = ApiKey::generate("dev", "token+everything").expect_err("unknown").to_string();
        assert!(error.contains("everything"), "{error}");
    }

    #[test]
    fn names_are_those_that_the_worker_takes() {
        for name in ["a", "backend", "Shop-2.eu_west", "2026.11", &"n".repeat(64)] {
            ApiKey::generate(name, "token").expect(name);
        }
        for name in ["", "a,b", "a:b", "a b", "a\n", "caf\u{e9}", "a+b", &"n".repeat(65)] {
            ApiKey::generate(name, "token").expect_err(name);
        }
    }

    #[test]
    fn scopes_that_the_worker_does_not_take_are_refused() {
        for scopes in ["", "token,instances", "token+", "Token", "token instances"] {
            ApiKey::generate("dev", scopes).expect_err(scopes);
        }
    }

    #[test]
    fn a_name_is_not_made_twice() {
        let names: Vec<String> = (0..5).map(|_| new_name().expect("randomness")).collect();
        assert!(names.iter().any(|name| *name != names[0]), "{names:?}");
        for name in names {
            ApiKey::generate(&name, "token").expect("a name that the Worker takes");
        }
    }

    #[test]
    fn a_date_is_that_of_the_calendar() {
        let dates = [(0, "1970-01-01"), (11_016, "2000-02-29"), (11_017, "2000-03-01"), (20_782, "2026-11-25")];
        for (day, expected) in dates.into_iter().chain([(20_818, "2026-12-31"), (20_819, "2027-01-01")]) {
            assert_eq!(date(day), expected);
        }
    }

    /// What the secret holds after each step of a text, by somebody who enters what it shows, letter by letter.
    fn followed(text: &str, list: &str) -> Vec<String> {
        // A value to enter has no blanks but those of the placeholder.
        let is_value = |line: &&str| line.contains("<the old list>") && line.matches(' ').count() == 2;
        let shown = text.lines().map(str::trim).filter(is_value);
        std::iter::once(list.to_owned()).chain(shown.map(|line| line.replace("<the old list>", list))).collect()
    }

    fn entries(list: &str) -> Vec<&str> {
        list.split(',').collect()
    }

    #[test]
    fn a_new_sealing_key_followed_to_the_letter_loses_nothing() {
        let new = sealing_key().expect("randomness");
        let lists = followed(&sealing_key_text(&new), "k1:b25l,k0:emVybw==");
        assert_eq!(lists.len(), 3, "{lists:?}");
        for pair in lists.windows(2) {
            let (before, after) = (entries(&pair[0]), entries(&pair[1]));
            assert!(before.iter().all(|old| after.contains(old)), "an old key is kept: {pair:?}");
            assert_eq!(after.len(), 3, "no key is there twice: {pair:?}");
            // While a deployment spreads, both lists are live: what one seals the other must open.
            assert!(after.contains(&before[0]) && before.contains(&after[0]), "{pair:?}");
        }
        assert_eq!(entries(&lists[2]), [new.as_str(), "k1:b25l", "k0:emVybw=="], "the new key seals in the end");
    }

    #[test]
    fn a_new_api_key_followed_to_the_letter_locks_nobody_out() {
        let key = ApiKey::generate("shop-2", "token").expect("sound");
        let text = api_key_text("shop-2", &key);
        let lists = followed(&text, "shop-1:aa,other:bb:token");
        assert_eq!(lists[1], format!("shop-1:aa,other:bb:token,{}", key.entry));
        assert_eq!(lists.len(), 2, "{lists:?}");
        let order =
            ["Add the new entry", "npx wrangler secret put API_KEYS", "Move the client over", "remove the old entry"];
        let set = text.find("If it is set").expect("the case of a list");
        let places: Vec<usize> = order.iter().map(|step| set + text[set..].find(step).expect(step)).collect();
        assert!(places.is_sorted(), "{text}");
        assert!(text.contains("name must differ") && text.contains("`client`"), "{text}");
    }

    #[test]
    fn a_text_says_what_a_secret_store_does() {
        let (key, sealing) = (ApiKey::generate("shop", "token").expect("sound"), sealing_key().expect("randomness"));
        let texts = [(api_key_text("shop", &key), "API_KEYS"), (sealing_key_text(&sealing), "SEALING_KEYS")];
        for (text, name) in &texts {
            for part in
                ["never shows a secret again", "REPLACES the whole value", "password manager", "do not have the list"]
            {
                assert!(text.contains(part), "{part}: {text}");
            }
            let put = format!("  npx wrangler secret put {name}\n");
            // Each list that is shown is followed by the command, before the next one.
            let steps = text.split("<the old list>").skip(2);
            assert!(steps.into_iter().all(|step| step.contains(&put)), "{text}");
            assert!(text.lines().all(|line| line.len() <= 160), "{text}");
        }
        let [(api, _), (sealing_text, _)] = &texts;
        assert_eq!(api.matches(&key.secret).count(), 1);
        assert!(!api.contains("SEALING_KEYS") && !sealing_text.contains("API_KEYS"), "one kind at a time");
        assert!(sealing_text.contains("APPEND the new entry behind the old ones"));
    }

    #[test]
    fn a_sealing_key_is_an_id_and_32_bytes() {
        let entry = sealing_key().expect("randomness");
        let (id, key) = entry.split_once(':').expect("two parts");
        assert!(id.starts_with('k'));
        assert_eq!(STANDARD.decode(key).expect("base64").len(), 32);
    }
}
