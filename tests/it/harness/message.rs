//! Hand-made webhook messages, signed with the tests' key: three layers of JSON in a JWT (docs/wix.md 4).

use std::sync::LazyLock;

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA512, RsaEncoding};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::now;
use super::stage::Stage;
use super::wix::Wix;

/// The tests' key. Every configuration has it in `WIX_PUBLIC_KEYS`, together with the simulator's key.
pub static KEY: LazyLock<Key> = LazyLock::new(Key::generate);

/// An RSA key.
pub struct Key(KeyPair);

impl Key {
    pub fn generate() -> Self {
        Self(KeyPair::generate(KeySize::Rsa2048).expect("an RSA key"))
    }

    /// The public key in the format of `WIX_PUBLIC_KEYS`.
    pub fn public_base64(&self) -> String {
        let der: PublicKeyX509Der<'_> = self.0.public_key().as_der().expect("a public key");
        STANDARD.encode(der.as_ref())
    }

    /// The modulus in the format of a JWK.
    pub fn modulus(&self) -> String {
        encode(self.0.public_key().modulus().big_endian_without_leading_zero())
    }

    fn sign(&self, padding: &'static dyn RsaEncoding, input: &str) -> Vec<u8> {
        let mut signature = vec![0; self.0.public_modulus_len()];
        self.0.sign(padding, &SystemRandom::new(), input.as_bytes(), &mut signature).expect("a signature");
        signature
    }
}

/// An unsigned message in Wix's format, whose parts tests can change.
#[derive(Clone)]
pub struct Message {
    pub header: Value,
    /// The envelope. The claim `data` has it as text.
    pub envelope: Value,
    /// The other claims.
    pub claims: Value,
}

impl Message {
    /// An event of an instance, dated now. The envelope has the inner data as text.
    pub fn new(event: &str, instance: &str, data: &Value) -> Self {
        Self {
            header: json!({ "kid": "TeStKiD1", "alg": "RS256" }),
            envelope: json!({ "data": data.to_string(), "instanceId": instance, "eventType": event }),
            claims: json!({ "iat": now(), "exp": now() + 3_600_000 }),
        }
    }

    pub fn installed(stage: &Stage, instance: &str) -> Self {
        Self::new("AppInstalled", instance, &json!({ "appId": stage.wix.app.app_id, "originInstanceId": "" }))
    }

    pub fn removed(stage: &Stage, instance: &str) -> Self {
        Self::new("AppRemoved", instance, &json!({ "appId": stage.wix.app.app_id }))
    }

    /// A service plugin call, valid for so many seconds.
    pub fn plugin_call(wix: &Wix, instance: &str, seconds: i64) -> Self {
        let mut message = Self::new("", instance, &Value::Null);
        message.claims = json!({
            "data": {
                "request": { "lineItems": [{ "name": "Zo\u{eb} \u{1f600}" }], "instance": instance },
                "metadata": {
                    "requestId": format!("1767225601.{instance}"), "instanceId": instance, "currency": "EUR",
                    "identity": { "identityType": "WIX_USER" }, "languages": ["de"],
                    "appExtensionType": "ECOM_SHIPPING_RATES",
                },
            },
            "iss": "wix.com", "aud": wix.app.app_id, "iat": now(), "exp": now() + seconds,
        });
        message
    }

    /// Sets the time of the message, in Unix seconds.
    pub fn at(mut self, iat: i64) -> Self {
        self.claims = json!({ "iat": iat, "exp": iat + 3_600_000 });
        self
    }

    /// The signing input: header and claims.
    pub fn signing_input(&self) -> String {
        let mut claims = self.claims.clone();
        if claims.get("data").is_none() {
            claims["data"] = self.envelope.to_string().into();
        }
        format!("{}.{}", encode(self.header.to_string()), encode(claims.to_string()))
    }

    pub fn sign(&self) -> String {
        self.sign_with(&KEY)
    }

    pub fn sign_with(&self, key: &Key) -> String {
        with_signature(&self.signing_input(), &key.sign(&RSA_PKCS1_SHA256, &self.signing_input()))
    }

    /// Signs correctly with RS512, another RSA algorithm.
    pub fn sign_rs512(mut self) -> String {
        self.header["alg"] = "RS512".into();
        with_signature(&self.signing_input(), &KEY.sign(&RSA_PKCS1_SHA512, &self.signing_input()))
    }

    /// Signs with HS256 and the public key as the secret, which everybody knows.
    pub fn sign_hs256(mut self, public_key: &str) -> String {
        self.header["alg"] = "HS256".into();
        let key = hmac::Key::new(hmac::HMAC_SHA256, public_key.as_bytes());
        let tag = hmac::sign(&key, self.signing_input().as_bytes());
        with_signature(&self.signing_input(), tag.as_ref())
    }

    /// Declares `alg: none` and has an empty signature.
    pub fn sign_none(mut self) -> String {
        self.header["alg"] = "none".into();
        with_signature(&self.signing_input(), &[])
    }
}

pub fn with_signature(input: &str, signature: &[u8]) -> String {
    format!("{input}.{}", encode(signature))
}

pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
