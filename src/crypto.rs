//! WebCrypto: RS256 verification and AES-256-GCM. Imported keys are cached for the life of the isolate.
//!
//! RSA in wasm costs ten times as much CPU as in WebCrypto.

use std::cell::RefCell;

use js_sys::Uint8Array;
use wasm_bindgen::{JsCast as _, JsValue};
use web_sys::CryptoKey;
use wix_edge_core::{PublicKey, SealingKey};

use crate::glue::{self, Jws};

type Result<T> = std::result::Result<T, JsValue>;

thread_local! {
    static PUBLIC_KEYS: RefCell<Vec<(PublicKey, CryptoKey)>> = const { RefCell::new(Vec::new()) };
    static SEALING_KEYS: RefCell<Vec<(SealingKey, CryptoKey)>> = const { RefCell::new(Vec::new()) };
}

pub async fn verify_rs256(key: &PublicKey, jws: &Jws, signature: &[u8]) -> Result<bool> {
    let key = public_key(key).await?;
    Ok(glue::verify_rs256(&key, signature, jws)?.await?.is_truthy())
}

pub async fn aes_gcm_seal(key: &SealingKey, nonce: [u8; 12], associated: &[u8], plain: &[u8]) -> Result<Vec<u8>> {
    let key = sealing_key(key).await?;
    Ok(Uint8Array::new(&glue::seal(&key, &nonce, associated, plain)?.await?).to_vec())
}

/// Decrypts. `None` if the key, nonce, associated data or cipher text is wrong.
pub async fn aes_gcm_open(
    key: &SealingKey,
    nonce: [u8; 12],
    associated: &[u8],
    cipher: &[u8],
) -> Result<Option<Vec<u8>>> {
    let key = sealing_key(key).await?;
    let plain = glue::open(&key, &nonce, associated, cipher).await?;
    Ok((!plain.is_undefined()).then(|| Uint8Array::new(&plain).to_vec()))
}

async fn public_key(key: &PublicKey) -> Result<CryptoKey> {
    let cached =
        PUBLIC_KEYS.with_borrow(|keys| keys.iter().find(|(cached, _)| cached == key).map(|(_, key)| key.clone()));
    if let Some(cached) = cached {
        return Ok(cached);
    }
    let imported: CryptoKey = glue::import_rs256(key.der())?.await?.unchecked_into();
    PUBLIC_KEYS.with_borrow_mut(|keys| keys.push((key.clone(), imported.clone())));
    Ok(imported)
}

async fn sealing_key(key: &SealingKey) -> Result<CryptoKey> {
    let cached = SEALING_KEYS
        .with_borrow(|keys| keys.iter().find(|(cached, _)| cached.id() == key.id()).map(|(_, key)| key.clone()));
    if let Some(cached) = cached {
        return Ok(cached);
    }
    let imported: CryptoKey = glue::import_aes(key.key().expose())?.await?.unchecked_into();
    SEALING_KEYS.with_borrow_mut(|keys| keys.push((key.clone(), imported.clone())));
    Ok(imported)
}
