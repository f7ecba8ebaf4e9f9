//! `cargo xtask keygen`: keys made of fresh randomness, and the configuration entries that go with them.

use std::fmt::Write as _;

use anyhow::{Context as _, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use clap::Args;
use sha2::{Digest as _, Sha256};

/// What a key may be allowed to do; the same words as in the Worker's `API_KEYS`.
pub const SCOPES: [&str; 5] = ["token", "instances", "events", "proxy", "admin"];

/// `cargo xtask keygen`
#[derive(Debug, Args)]
pub struct Options {
    /// Whose API key it is; the Worker's log calls its user so
    #[arg(long, default_value = "backend")]
    name: String,
    /// What it may do, joined by "+": token, instances, events, proxy, admin
    #[arg(long, default_value = "token+instances+events+proxy")]
    scopes: String,
}

/// Prints both keys with what to do with them.
pub fn run(options: &Options) -> Result<()> {
    let key = ApiKey::generate(&options.name, &options.scopes)?;
    println!("API key, for the caller to keep and to send as `Authorization: Bearer …`:\n");
    println!("  {}\n", key.secret);
    println!(
        "API_KEYS entry, which does not reveal it (`npx wrangler secret put API_KEYS`; several joined by commas):\n"
    );
    println!("  {}\n", key.entry);
    println!(
        "SEALING_KEYS entry (`npx wrangler secret put SEALING_KEYS`). Keep a copy: what it sealed is lost without it."
    );
    println!("To rotate, put the new entry before the old one, with a comma between:\n");
    println!("  {}", sealing_key()?);
    Ok(())
}

/// A key for the app API.
#[derive(Debug)]
pub struct ApiKey {
    /// What the caller sends.
    pub secret: String,
    /// What the Worker is configured with: `name:sha256-hex:scope+scope`.
    pub entry: String,
}

impl ApiKey {
    /// Makes a key of 256 bits.
    pub fn generate(name: &str, scopes: &str) -> Result<Self> {
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name.is_empty() || !name.chars().all(is_name) {
            bail!("a key's name is made of letters, digits, `-` and `_`, unlike `{name}`");
        }
        if let Some(unknown) = scopes.split('+').find(|scope| !SCOPES.contains(scope)) {
            bail!("`{unknown}` is no scope; there are {}", SCOPES.join(", "));
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

/// Random bytes from the operating system.
pub fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).context("the system gives no random bytes")?;
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
    use super::{ApiKey, hex, sealing_key};
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
    fn a_name_that_would_break_the_list_is_refused() {
        ApiKey::generate("a,b", "token").expect_err("a comma separates entries");
        ApiKey::generate("a:b", "token").expect_err("a colon separates the parts");
    }

    #[test]
    fn a_sealing_key_is_an_id_and_32_bytes() {
        let entry = sealing_key().expect("randomness");
        let (id, key) = entry.split_once(':').expect("two parts");
        assert!(id.starts_with('k'));
        assert_eq!(STANDARD.decode(key).expect("base64").len(), 32);
    }
}
