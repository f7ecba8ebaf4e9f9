//! Sealed values, RSA public keys, the signed state of a flow, and the session of the console. The ciphers themselves are the platform's.

mod keys;
mod mac;
mod port;
mod public_key;
mod sealing;
pub mod session;
pub mod state;

pub use keys::Keys;
pub use port::Crypto;
pub use public_key::PublicKey;
pub use sealing::{OpenError, Place, SealingKey, any_base64, open, seal};
pub use session::SessionKey;
pub use state::StateKey;

/// The values of the cookies with a name, from a `Cookie` header.
pub fn cookies_named<'a>(cookies: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    cookies.split(';').filter_map(move |pair| pair.trim().strip_prefix(name)?.strip_prefix('='))
}
