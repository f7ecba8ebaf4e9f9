//! Signed webhook messages in Wix's format.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

/// An RSA key.
pub struct Key(KeyPair);

impl Key {
    /// Generates a key of 2048 bits.
    pub fn generate() -> Result<Self> {
        Ok(Self(KeyPair::generate(KeySize::Rsa2048).map_err(|_| anyhow::anyhow!("could not generate an RSA key"))?))
    }

    /// The public key as base64 of its DER.
    pub fn public(&self) -> Result<String> {
        let der: PublicKeyX509Der<'_> =
            self.0.public_key().as_der().map_err(|_| anyhow::anyhow!("the public key has no DER form"))?;
        Ok(STANDARD.encode(der.as_ref()))
    }

    /// A message about an instance, padded in its inner data to about `size` bytes.
    pub fn message(&self, event: &str, instance: &str, data: &Value, size: usize) -> Result<String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let mut data = data.clone();
        // Base64 adds a third. The rest of the message has about 700 bytes.
        let padding = "x".repeat(size.saturating_sub(700) * 3 / 4);
        data.as_object_mut().context("data must be an object")?.insert("filling".to_owned(), padding.into());
        let identity = json!({ "identityType": "WIX_USER", "wixUserId": instance }).to_string();
        let envelope = json!({
            "data": data.to_string(), "instanceId": instance, "eventType": event, "identity": identity,
        });
        self.signed(&json!({ "data": envelope.to_string(), "iat": now, "exp": now + 3600 }))
    }

    /// A service plugin call of about `size` bytes.
    pub fn plugin_call(&self, app_id: &str, instance: &str, size: usize) -> Result<String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let padding = "x".repeat(size.saturating_sub(1000) * 3 / 4);
        let item = json!({ "name": "Teapot", "quantity": 2, "price": "24.50", "note": padding });
        let metadata = json!({
            "requestId": "1767225601.1234567890", "instanceId": instance, "currency": "EUR", "languages": ["en"],
            "identity": { "identityType": "WIX_USER", "wixUserId": instance }, "appExtensionType": "ECOM_SHIPPING_RATES",
        });
        self.signed(&json!({
            "data": { "request": { "lineItems": [item] }, "metadata": metadata },
            "iss": "wix.com", "aud": app_id, "iat": now, "exp": now + 3600,
        }))
    }

    /// Signs claims.
    fn signed(&self, claims: &Value) -> Result<String> {
        let header = json!({ "kid": "TeStKiD1", "alg": "RS256" });
        let part = |json: Value| URL_SAFE_NO_PAD.encode(json.to_string());
        let signed = format!("{}.{}", part(header), part(claims.clone()));
        let mut signature = vec![0; self.0.public_modulus_len()];
        let random = SystemRandom::new();
        self.0
            .sign(&RSA_PKCS1_SHA256, &random, signed.as_bytes(), &mut signature)
            .map_err(|_| anyhow::anyhow!("the key failed to sign"))?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}
