//! Wix's signatures, made with keys that are good for nothing else.

use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rsa::pkcs1v15::{Signature, SigningKey, VerifyingKey};
use rsa::pkcs8::{DecodePrivateKey as _, DecodePublicKey as _};
use rsa::signature::{SignatureEncoding as _, Signer as _, Verifier as _};
use rsa::{PrivateKey, PublicKey};
use serde_json::{Value, json};
use sha2::{Sha256, Sha384, Sha512};

use super::world::APP_ID;

/// The public half of the key that signs.
pub const PUBLIC_KEY: &str = include_str!("../../testdata/webhook_key.pub.pem");
/// Of the other one.
pub const OTHER_PUBLIC_KEY: &str = include_str!("../../testdata/other_key.pub.pem");
/// The genuine message of Wix's rules 12.1 and its key.
pub const GENUINE: &str = include_str!("../../testdata/genuine.jwt");
/// See [`GENUINE`].
pub const GENUINE_KEY: &str = include_str!("../../testdata/genuine.pub.pem");
/// The message of Wix's rules 12.2 and its key.
pub const INVENTED: &str = include_str!("../../testdata/invented.jwt");
/// See [`INVENTED`].
pub const INVENTED_KEY: &str = include_str!("../../testdata/invented.pub.pem");

/// Wix's header.
pub const HEADER: &str = r#"{"kid":"TeStKiD1","alg":"RS256"}"#;

/// Who signs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// The one in the configuration.
    Wix,
    /// Another one.
    Other,
}

impl Key {
    fn private(self) -> &'static PrivateKey {
        static WIX: OnceLock<PrivateKey> = OnceLock::new();
        static OTHER: OnceLock<PrivateKey> = OnceLock::new();
        let read = |pem| PrivateKey::from_pkcs8_pem(pem).expect("a private key");
        match self {
            Self::Wix => WIX.get_or_init(|| read(include_str!("../../testdata/webhook_key.pem"))),
            Self::Other => OTHER.get_or_init(|| read(include_str!("../../testdata/other_key.pem"))),
        }
    }
}

/// A JWS of texts as they are, by RSASSA-PKCS1-v1_5 with the hash that the header names, or else SHA-256.
/// Signing is slow in a debug build, so what was signed once is remembered.
pub fn sign(key: Key, header: &str, claims: &str) -> String {
    static SIGNED: Mutex<BTreeMap<(Key, String), String>> = Mutex::new(BTreeMap::new());
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let mut signed = SIGNED.lock().expect("nobody panicked");
    let token = signed.entry((key, message.clone())).or_insert_with(|| {
        let private = key.private().clone();
        let bytes = message.as_bytes();
        let signature: Signature = if header.contains("RS384") {
            SigningKey::<Sha384>::new(private).sign(bytes)
        } else if header.contains("RS512") {
            SigningKey::<Sha512>::new(private).sign(bytes)
        } else {
            SigningKey::<Sha256>::new(private).sign(bytes)
        };
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature.to_vec()))
    });
    token.clone()
}

/// Claims as Wix makes them around an envelope.
pub fn claims(envelope: &Value, iat: u64) -> String {
    json!({"data": envelope.to_string(), "iat": iat, "exp": iat + 3_600_000}).to_string()
}

/// An event as Wix sends it: three layers, signed.
pub fn event(kind: &str, instance: &str, data: &Value, iat: u64) -> String {
    let envelope = json!({
        "data": data.to_string(),
        "instanceId": instance,
        "eventType": kind,
        "identity": r#"{"identityType":"WIX_USER","wixUserId":"66666666-7777-4888-8999-000000000000"}"#,
    });
    sign(Key::Wix, HEADER, &claims(&envelope, iat))
}

/// `AppInstalled`.
pub fn installed(instance: &str, iat: u64) -> String {
    event("AppInstalled", instance, &json!({"appId": APP_ID, "originInstanceId": ""}), iat)
}

/// `AppRemoved`.
pub fn removed(instance: &str, iat: u64) -> String {
    event("AppRemoved", instance, &json!({"appId": APP_ID}), iat)
}

pub(super) fn verify(der: &[u8], message: &[u8], signature: &[u8]) -> Result<bool, &'static str> {
    let key = PublicKey::from_public_key_der(der).map_err(|_| "the public key does not import")?;
    let Ok(signature) = Signature::try_from(signature) else { return Ok(false) };
    Ok(VerifyingKey::<Sha256>::new(key).verify(message, &signature).is_ok())
}
