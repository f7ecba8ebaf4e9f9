//! The keys of the app API, known by their hashes only, and their scopes.

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// A permission of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Requesting access tokens.
    Token,
    /// Reading installations.
    Instances,
    /// Sending BI events, and reading and redelivering the events of installations.
    Events,
    /// Calling Wix through the Worker.
    Proxy,
    /// Administration of the Worker.
    Admin,
}

impl Scope {
    const ALL: [(Self, &'static str); 5] = [
        (Self::Token, "token"),
        (Self::Instances, "instances"),
        (Self::Events, "events"),
        (Self::Proxy, "proxy"),
        (Self::Admin, "admin"),
    ];

    /// Its name in `API_KEYS`.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(scope, _)| *scope == self).map_or("", |(_, name)| name)
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, name)| *name == text).map(|(scope, _)| *scope)
    }
}

/// Texts that are hashed by mistake: an empty one, a line break, and the words that programs print for a missing value.
const PLACEHOLDERS: [&str; 8] = ["", "\n", "\r\n", " ", "undefined", "null", "None", "\u{a0}"];

/// The key of one client, known by its hash only.
#[derive(Clone)]
pub struct ApiKey {
    /// The name of the client, for the log.
    pub client: String,
    hash: [u8; 32],
    scopes: Vec<Scope>,
}

/// Why an entry of `API_KEYS` cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ApiKeyError {
    /// A list of scopes with commas.
    #[error("scopes must be joined by +, since a comma begins the next entry")]
    ScopesJoinedByComma,
    /// A hash alone.
    #[error("an entry must begin with a name and a colon: name:hash")]
    NoName,
    /// No colon.
    #[error("an entry must be of the form name:hash or name:hash:scope+scope")]
    Form,
    /// The name.
    #[error("a name must be 1 to 64 letters, digits, - _ or .")]
    Name,
    /// 64 characters that are not hexadecimal digits.
    #[error("a hash must have hexadecimal digits only")]
    NotHex,
    /// Not a SHA-256.
    #[error("a hash must be the key's SHA-256 as 64 hexadecimal digits, not the key itself")]
    NotAHash,
    /// The hash of a known placeholder.
    #[error("a hash must be that of a key: this is the hash of an empty or a placeholder text")]
    Placeholder,
    /// An unknown scope.
    #[error("a scope must be token, instances, events, proxy or admin")]
    Scope,
}

impl ApiKey {
    /// Parses `name:sha256-hex-of-key[:scope+scope…]`. An entry without scopes has all but `admin`.
    pub fn parse(entry: &str) -> Result<Self, ApiKeyError> {
        if Scope::parse(entry.trim()).is_some() || entry.split('+').all(|scope| Scope::parse(scope.trim()).is_some()) {
            return Err(ApiKeyError::ScopesJoinedByComma);
        }
        let Some((client, rest)) = entry.split_once(':') else {
            return Err(if parse_hex32(entry).is_some() { ApiKeyError::NoName } else { ApiKeyError::Form });
        };
        if parse_hex32(client).is_some() {
            return Err(ApiKeyError::NoName);
        }
        let named = !client.is_empty()
            && client.len() <= 64
            && client.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
        if !named {
            return Err(ApiKeyError::Name);
        }
        let (hash, scopes) = rest.split_once(':').map_or((rest, None), |(hash, scopes)| (hash, Some(scopes)));
        let hash = parse_hex32(hash.trim()).ok_or(if hash.trim().len() == 64 {
            ApiKeyError::NotHex
        } else {
            ApiKeyError::NotAHash
        })?;
        if PLACEHOLDERS.iter().any(|text| <[u8; 32]>::from(Sha256::digest(text)) == hash) || hash == [0; 32] {
            return Err(ApiKeyError::Placeholder);
        }
        let scopes = match scopes {
            None => Scope::ALL.iter().map(|(scope, _)| *scope).filter(|scope| *scope != Scope::Admin).collect(),
            Some(list) => list
                .split('+')
                .map(|name| Scope::parse(name.trim()).ok_or(ApiKeyError::Scope))
                .collect::<Result<_, _>>()?,
        };
        Ok(Self { client: client.to_owned(), hash, scopes })
    }

    /// The SHA-256 of the key.
    #[must_use]
    pub fn hash(&self) -> &[u8; 32] {
        &self.hash
    }

    /// Compares the SHA-256 in constant time.
    #[must_use]
    pub fn has_hash(&self, hash: &[u8; 32]) -> bool {
        self.hash.ct_eq(hash).into()
    }

    /// Whether the key has a scope.
    #[must_use]
    pub fn allows(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope)
    }
}

fn parse_hex32(text: &str) -> Option<[u8; 32]> {
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    let bytes: Option<Vec<u8>> = pairs
        .iter()
        .map(|pair| {
            let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            Some(digit(pair[0])? << 4 | digit(pair[1])?)
        })
        .collect();
    bytes?.try_into().ok()
}

#[cfg(test)]
mod tests;
