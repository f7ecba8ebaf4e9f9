//! Messages signed as Wix signs them, with key pairs that only the tests use.

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

/// The public key of [`Key::Wix`], which the configuration of the tests has.
pub const PUBLIC_KEY: &str = include_str!("../../testdata/webhook_key.pub.pem");
/// The public key of [`Key::Other`].
pub const OTHER_PUBLIC_KEY: &str = include_str!("../../testdata/other_key.pub.pem");
/// The genuine message in docs/wix.md, 12.1.
pub const GENUINE: &str = include_str!("../../testdata/genuine.jwt");
/// The public key of [`GENUINE`].
pub const GENUINE_KEY: &str = include_str!("../../testdata/genuine.pub.pem");
/// The invented message in docs/wix.md, 12.2.
pub const INVENTED: &str = include_str!("../../testdata/invented.jwt");
/// The public key of [`INVENTED`].
pub const INVENTED_KEY: &str = include_str!("../../testdata/invented.pub.pem");

/// The header of a message from Wix: docs/wix.md, 4.3.
pub const HEADER: &str = r#"{"kid":"TeStKiD1","alg":"RS256"}"#;

/// The key that signs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// The key in the configuration.
    Wix,
    /// A key that is not in the configuration.
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

/// Signs header and claims, unchanged, as a compact JWS: RSASSA-PKCS1-v1_5 with the hash that the header names, else
/// SHA-256. Signing is slow in a debug build, so signatures are cached.
pub fn sign(key: Key, header: &str, claims: &str) -> String {
    static CACHE: Mutex<BTreeMap<(Key, String), String>> = Mutex::new(BTreeMap::new());
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let mut cache = CACHE.lock().expect("no other test panicked while it signed");
    let token = cache.entry((key, message.clone())).or_insert_with(|| {
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

/// The claims that Wix puts around an envelope: docs/wix.md, 4.3.
pub fn claims(envelope: &Value, iat: u64) -> String {
    json!({"data": envelope.to_string(), "iat": iat, "exp": iat + 3_600_000}).to_string()
}

/// A signed event in the three layers that Wix sends: docs/wix.md, 4.5.
pub fn event(kind: &str, instance: &str, data: &Value, iat: u64) -> String {
    let envelope = json!({
        "data": data.to_string(),
        "instanceId": instance,
        "eventType": kind,
        "identity": r#"{"identityType":"WIX_USER","wixUserId":"66666666-7777-4888-8999-000000000000"}"#,
    });
    sign(Key::Wix, HEADER, &claims(&envelope, iat))
}

/// The claims of a service plugin call: docs/wix.md, 4.8.
pub fn plugin_claims(request: &Value, instance: &str, iat: u64) -> Value {
    json!({
        "data": {
            "request": request,
            "metadata": {
                "requestId": "1767225601.99-plugin",
                "instanceId": instance,
                "identity": {"identityType": "WIX_USER", "wixUserId": "66666666-7777-4888-8999-000000000000"},
                "currency": "EUR",
                "languages": ["de"],
                "appExtensionType": "ECOM_SHIPPING_RATES",
            },
        },
        "iss": "wix.com",
        "aud": APP_ID,
        "iat": iat,
        "exp": iat + 60,
    })
}

/// A signed `AppInstalled`.
pub fn installed(instance: &str, iat: u64) -> String {
    event("AppInstalled", instance, &json!({"appId": APP_ID, "originInstanceId": ""}), iat)
}

/// A signed `AppRemoved`.
pub fn removed(instance: &str, iat: u64) -> String {
    event("AppRemoved", instance, &json!({"appId": APP_ID}), iat)
}

pub(super) fn verify(der: &[u8], message: &[u8], signature: &[u8]) -> Result<bool, &'static str> {
    let key = PublicKey::from_public_key_der(der).map_err(|_| "the public key must be an RSA key in DER")?;
    let Ok(signature) = Signature::try_from(signature) else { return Ok(false) };
    Ok(VerifyingKey::<Sha256>::new(key).verify(message, &signature).is_ok())
}
