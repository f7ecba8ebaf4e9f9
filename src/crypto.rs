//! WebCrypto: RS256 verification and AES-256-GCM, with imported keys kept for the isolate's life.
//!
//! RSA in wasm costs ten times the CPU of the runtime's own.

use std::cell::RefCell;

use js_sys::{Array, Object, Reflect, Uint8Array};
use wasm_bindgen::{JsCast as _, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{CryptoKey, SubtleCrypto, WorkerGlobalScope};
use wix_edge_core::public_key::PublicKey;
use wix_edge_core::seal::SealingKey;

type Result<T> = std::result::Result<T, JsValue>;

thread_local! {
    static PUBLIC_KEYS: RefCell<Vec<(PublicKey, CryptoKey)>> = const { RefCell::new(Vec::new()) };
    static SEALING_KEYS: RefCell<Vec<(SealingKey, CryptoKey)>> = const { RefCell::new(Vec::new()) };
}

pub async fn verify_rs256(key: &PublicKey, message: &[u8], signature: &[u8]) -> Result<bool> {
    let key = public_key(key).await?;
    let verified = subtle()?.verify_with_str_and_js_u8_array_and_js_u8_array(
        "RSASSA-PKCS1-v1_5",
        &key,
        &Uint8Array::from(signature),
        &Uint8Array::from(message),
    )?;
    Ok(JsFuture::from(verified).await?.is_truthy())
}

pub async fn aes_gcm_seal(key: &SealingKey, nonce: [u8; 12], associated: &[u8], plain: &[u8]) -> Result<Vec<u8>> {
    let key = sealing_key(key).await?;
    let sealed =
        subtle()?.encrypt_with_object_and_js_u8_array(&aes_gcm(nonce, associated)?, &key, &Uint8Array::from(plain))?;
    Ok(Uint8Array::new(&JsFuture::from(sealed).await?).to_vec())
}

/// Nothing where the runtime refuses: key, nonce, associated data and cipher text do not belong together.
pub async fn aes_gcm_open(
    key: &SealingKey,
    nonce: [u8; 12],
    associated: &[u8],
    cipher: &[u8],
) -> Result<Option<Vec<u8>>> {
    let key = sealing_key(key).await?;
    let opened =
        subtle()?.decrypt_with_object_and_js_u8_array(&aes_gcm(nonce, associated)?, &key, &Uint8Array::from(cipher))?;
    Ok(JsFuture::from(opened).await.ok().map(|plain| Uint8Array::new(&plain).to_vec()))
}

async fn public_key(key: &PublicKey) -> Result<CryptoKey> {
    let kept = PUBLIC_KEYS.with_borrow(|keys| keys.iter().find(|(kept, _)| kept == key).map(|(_, key)| key.clone()));
    if let Some(kept) = kept {
        return Ok(kept);
    }
    let algorithm = Object::new();
    set(&algorithm, "name", &"RSASSA-PKCS1-v1_5".into())?;
    set(&algorithm, "hash", &"SHA-256".into())?;
    let usages = Array::of1(&"verify".into());
    let data = Uint8Array::from(key.der());
    let imported = subtle()?.import_key_with_object("spki", &data, &algorithm, false, &usages)?;
    let imported: CryptoKey = JsFuture::from(imported).await?.unchecked_into();
    PUBLIC_KEYS.with_borrow_mut(|keys| keys.push((key.clone(), imported.clone())));
    Ok(imported)
}

async fn sealing_key(key: &SealingKey) -> Result<CryptoKey> {
    let kept = SEALING_KEYS
        .with_borrow(|keys| keys.iter().find(|(kept, _)| kept.id() == key.id()).map(|(_, key)| key.clone()));
    if let Some(kept) = kept {
        return Ok(kept);
    }
    let usages = Array::of2(&"encrypt".into(), &"decrypt".into());
    let data = Uint8Array::from(key.key().expose().as_slice());
    let imported = subtle()?.import_key_with_str("raw", &data, "AES-GCM", false, &usages)?;
    let imported: CryptoKey = JsFuture::from(imported).await?.unchecked_into();
    SEALING_KEYS.with_borrow_mut(|keys| keys.push((key.clone(), imported.clone())));
    Ok(imported)
}

fn aes_gcm(nonce: [u8; 12], associated: &[u8]) -> Result<Object> {
    let algorithm = Object::new();
    set(&algorithm, "name", &"AES-GCM".into())?;
    set(&algorithm, "iv", &Uint8Array::from(nonce.as_slice()))?;
    set(&algorithm, "additionalData", &Uint8Array::from(associated))?;
    Ok(algorithm)
}

fn set(object: &Object, name: &str, value: &JsValue) -> Result<()> {
    Reflect::set(object, &name.into(), value).map(|_| ())
}

fn subtle() -> Result<SubtleCrypto> {
    Ok(js_sys::global().unchecked_into::<WorkerGlobalScope>().crypto()?.subtle())
}
