//! RSA keys that sign webhooks (section 4.3): the app's key, generated or read from PEM, and a foreign key.

use anyhow::{Context as _, anyhow, bail};
use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::ids;

/// A private key, with its public key in DER.
pub(crate) struct SigningKey {
    pair: KeyPair,
    public_der: Vec<u8>,
    /// The key id: eight characters, as in Wix's JWT headers.
    pub(crate) kid: String,
}

impl SigningKey {
    /// Generates an RSA-2048 key.
    pub(crate) fn generate() -> anyhow::Result<Self> {
        Self::new(KeyPair::generate(KeySize::Rsa2048).map_err(|_| anyhow!("could not generate an RSA key"))?)
    }

    /// Reads a private key in PEM (PKCS#8 or PKCS#1).
    pub(crate) fn from_pem(text: &str) -> anyhow::Result<Self> {
        let block = pem::parse(text).context("the key file must be PEM")?;
        let pair = match block.tag() {
            "PRIVATE KEY" => KeyPair::from_pkcs8(block.contents()),
            "RSA PRIVATE KEY" => KeyPair::from_der(block.contents()),
            other => bail!("the key file must have a PRIVATE KEY or RSA PRIVATE KEY block; it has {other:?}"),
        };
        Self::new(pair.map_err(|reason| anyhow!("the key file must have a valid RSA key: {reason}"))?)
    }

    fn new(pair: KeyPair) -> anyhow::Result<Self> {
        let der: PublicKeyX509Der<'_> =
            pair.public_key().as_der().map_err(|_| anyhow!("the public key has no DER form"))?;
        let public_der = der.as_ref().to_vec();
        Ok(Self { pair, public_der, kid: ids::random_text(8) })
    }

    /// Signs with RSASSA-PKCS1-v1_5; `alg` is `RS256`, `RS384` or `RS512`.
    pub(crate) fn sign(&self, alg: &str, message: &[u8]) -> anyhow::Result<Vec<u8>> {
        let padding = match alg {
            "RS256" => &RSA_PKCS1_SHA256,
            "RS384" => &RSA_PKCS1_SHA384,
            "RS512" => &RSA_PKCS1_SHA512,
            other => bail!("alg must be RS256, RS384 or RS512 for an RSA key; it is {other:?}"),
        };
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair
            .sign(padding, &SystemRandom::new(), message, &mut signature)
            .map_err(|_| anyhow!("the RSA key failed to sign"))?;
        Ok(signature)
    }

    /// The public key in the dashboard's format: SPKI in PEM.
    pub(crate) fn public_pem(&self) -> String {
        pem::encode_config(
            &pem::Pem::new("PUBLIC KEY", self.public_der.clone()),
            pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF),
        )
    }

    /// The public key as one line of base64: its SPKI in DER.
    pub(crate) fn public_der_base64(&self) -> String {
        STANDARD.encode(&self.public_der)
    }
}

#[cfg(test)]
mod tests;
