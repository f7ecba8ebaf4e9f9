//! The keys of the app API: who may call, and for what. Only hashes are known here.

use std::collections::BTreeSet;

use subtle::ConstantTimeEq as _;

/// What a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
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

/// One client's key: only its hash is known.
#[derive(Clone)]
pub struct ApiKey {
    /// Who the client is, for the log.
    pub client: String,
    hash: [u8; 32],
    scopes: BTreeSet<Scope>,
}

impl ApiKey {
    /// Reads `name:sha256-hex-of-key[:scope+scope…]`; without scopes, all but `admin`.
    pub fn parse(entry: &str) -> Result<Self, &'static str> {
        let mut parts = entry.splitn(3, ':');
        let client = parts.next().unwrap_or_default();
        let named = !client.is_empty()
            && client.len() <= 64
            && client.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
        if !named {
            return Err("a name is not 1 to 64 letters, digits, - _ or .");
        }
        let hash = parse_hex32(parts.next().unwrap_or_default()).ok_or("a hash has not 64 hexadecimal digits")?;
        let scopes = match parts.next() {
            None => Scope::ALL.iter().map(|(scope, _)| *scope).filter(|scope| *scope != Scope::Admin).collect(),
            Some(list) => list
                .split('+')
                .map(|name| Scope::parse(name).ok_or("a scope is not one of token, instances, events, proxy, admin"))
                .collect::<Result<_, _>>()?,
        };
        Ok(Self { client: client.to_owned(), hash, scopes })
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
