//! Sealed values, RSA public keys and the signed state of a flow. The ciphers themselves are the platform's.

mod keys;
mod port;
mod public_key;
mod sealing;
pub mod state;

pub use keys::Keys;
pub use port::Crypto;
pub use public_key::PublicKey;
pub use sealing::{OpenError, Place, SealingKey, open, seal};
pub use state::StateKey;
