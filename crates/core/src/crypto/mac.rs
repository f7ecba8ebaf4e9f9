//! Keys for HMAC-SHA256 (RFC 2104) that are derived from a sealing key.

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::SealingKey;
use crate::values::Key32;

/// The length of a MAC.
pub const MAC: usize = 32;

/// A key for one purpose, which `info` names. It rotates with the sealing key.
#[derive(Clone)]
pub struct MacKey(pub(super) Key32);

impl MacKey {
    /// Derives the key by HKDF-SHA256 (RFC 5869).
    ///
    /// # Panics
    /// Never: HKDF yields up to 255 times the hash's length. A panic is safer than a key of zeros.
    #[must_use]
    pub fn derive(key: &SealingKey, info: &[u8]) -> Self {
        let mut bytes = [0; 32];
        #[expect(
            clippy::expect_used,
            reason = "HKDF yields up to 255 times the hash's length; a panic is safer than a key of zeros"
        )]
        Hkdf::<Sha256>::new(None, key.key().expose()).expand(info, &mut bytes).expect("32 bytes of HKDF");
        Self(Key32::new(bytes))
    }

    /// The MAC of the joined parts. All but one of them must have a fixed length, so that no two lists are the same bytes.
    #[must_use]
    pub fn mac(&self, parts: &[&[u8]]) -> [u8; MAC] {
        #[expect(
            clippy::expect_used,
            reason = "HMAC accepts keys of every length; a panic is safer than a MAC of zeros"
        )]
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.expose()).expect("HMAC accepts any key");
        for part in parts {
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}
