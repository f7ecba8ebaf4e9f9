//! The keys of the app API: who may call, and for what. Only hashes are known here.

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// What a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Get access tokens.
    Token,
    /// Read instances.
    Instances,
    /// Send BI events.
    Events,
    /// Call Wix through the Worker.
    Proxy,
    /// Look after the Worker itself.
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

/// What is hashed by mistake: nothing, a line break, and what programs print for nothing.
const PLACEHOLDERS: [&str; 8] = ["", "\n", "\r\n", " ", "undefined", "null", "None", "\u{a0}"];

/// One client's key: only its hash is known.
#[derive(Clone)]
pub struct ApiKey {
    /// Who the client is, for the log.
    pub client: String,
    hash: [u8; 32],
    scopes: Vec<Scope>,
}

impl ApiKey {
    /// Reads `name:sha256-hex-of-key[:scope+scope…]`; without scopes, all but `admin`.
    pub fn parse(entry: &str) -> Result<Self, &'static str> {
        if Scope::parse(entry.trim()).is_some() || entry.split('+').all(|scope| Scope::parse(scope.trim()).is_some()) {
            return Err("scopes must be joined by +, since a comma begins the next entry");
        }
        let Some((client, rest)) = entry.split_once(':') else {
            return Err(if parse_hex32(entry).is_some() {
                "an entry must begin with a name and a colon: name:hash"
            } else {
                "an entry must be of the form name:hash or name:hash:scope+scope"
            });
        };
        if parse_hex32(client).is_some() {
            return Err("an entry must begin with a name and a colon: name:hash");
        }
        let named = !client.is_empty()
            && client.len() <= 64
            && client.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
        if !named {
            return Err("a name must be 1 to 64 letters, digits, - _ or .");
        }
        let (hash, scopes) = rest.split_once(':').map_or((rest, None), |(hash, scopes)| (hash, Some(scopes)));
        let hash = parse_hex32(hash.trim()).ok_or(if hash.trim().len() == 64 {
            "a hash must have hexadecimal digits only"
        } else {
            "a hash must be the key's SHA-256 as 64 hexadecimal digits, not the key itself"
        })?;
        if PLACEHOLDERS.iter().any(|text| <[u8; 32]>::from(Sha256::digest(text)) == hash) || hash == [0; 32] {
            return Err("a hash is that of an empty or a placeholder text, not of a key");
        }
        let scopes = match scopes {
            None => Scope::ALL.iter().map(|(scope, _)| *scope).filter(|scope| *scope != Scope::Admin).collect(),
            Some(list) => list
                .split('+')
                .map(|name| Scope::parse(name.trim()).ok_or("a scope must be token, instances, events, proxy or admin"))
                .collect::<Result<_, _>>()?,
        };
        Ok(Self { client: client.to_owned(), hash, scopes })
    }

    /// The SHA-256 of the key.
    #[must_use]
    pub fn hash(&self) -> &[u8; 32] {
        &self.hash
    }

    /// Whether this is the key whose SHA-256 is given, in time that does not depend on how alike they are.
    #[must_use]
    pub fn has_hash(&self, hash: &[u8; 32]) -> bool {
        self.hash.ct_eq(hash).into()
    }

    /// Whether the client may do this.
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
#[path = "api_key_tests.rs"]
mod tests;
