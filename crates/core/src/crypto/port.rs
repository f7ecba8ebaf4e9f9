//! The port to the platform's cryptography.

use super::{PublicKey, SealingKey};
use crate::runtime::PlatformError;

/// RS256 and AES-256-GCM.
#[expect(async_fn_in_trait, reason = "every implementation is single-threaded: no future needs to be `Send`")]
pub trait Crypto {
    /// A received JWS that stays in the platform's memory.
    type Held;

    /// Verifies RSASSA-PKCS1-v1_5 with SHA-256 (RFC 7518, `RS256`) over the header and the claims of a held JWS.
    async fn verify_rs256(&self, key: &PublicKey, held: &Self::Held, signature: &[u8]) -> Result<bool, PlatformError>;
    /// The claims of a held JWS, still encoded.
    fn held_claims(&self, held: &Self::Held) -> Vec<u8>;
    /// Encrypts with AES-256-GCM. Returns the ciphertext followed by the 16-byte tag.
    async fn aes_gcm_seal(
        &self,
        key: &SealingKey,
        nonce: [u8; 12],
        associated: &[u8],
        plain: &[u8],
    ) -> Result<Vec<u8>, PlatformError>;
    /// Decrypts with AES-256-GCM. `None` if key, nonce, associated data and ciphertext do not belong together.
    async fn aes_gcm_open(
        &self,
        key: &SealingKey,
        nonce: [u8; 12],
        associated: &[u8],
        cipher: &[u8],
    ) -> Result<Option<Vec<u8>>, PlatformError>;
}
