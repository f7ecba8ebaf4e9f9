//! The app's public key(s), in every form that people paste it (Wix's rules 4.3, mistakes 11 no. 4).

use spki::der::Decode as _;

use crate::seal::any_base64;

/// An RSA public key of 2048 to 4096 bits, as `SubjectPublicKeyInfo` (RFC 5280) in DER.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    der: Vec<u8>,
    signature_len: usize,
}

impl PublicKey {
    /// Reads one or more keys: PEM, PEM on one line with `\n` written as two characters, base64 of PEM, or base64 of
    /// the DER. Several stand one after the other (PEM) or are separated by commas.
    pub fn parse_all(text: &str) -> Result<Vec<Self>, &'static str> {
        let text = text.trim().trim_matches(['"', '\'']).replace(r"\\", r"\").replace(r"\r", "").replace(r"\n", "\n");
        let mut keys = Vec::new();
        for piece in text.split(',').map(str::trim).filter(|piece| !piece.is_empty()) {
            if piece.contains(BEGIN) {
                parse_pem(piece, &mut keys)?;
                continue;
            }
            let bytes = decode_base64(piece)?;
            match std::str::from_utf8(&bytes) {
                Ok(pem) if pem.contains(BEGIN) => parse_pem(pem, &mut keys)?,
                _ => keys.push(Self::from_der(bytes)?),
            }
        }
        if keys.is_empty() { Err("it must not be empty") } else { Ok(keys) }
    }

    fn from_der(der: Vec<u8>) -> Result<Self, &'static str> {
        let info = spki::SubjectPublicKeyInfoRef::from_der(&der)
            .map_err(|_| "it is no public key: what stands between BEGIN and END was changed or cut off")?;
        if info.algorithm.oid != pkcs1::ALGORITHM_OID {
            return Err("it must be an RSA key");
        }
        let rsa = info.subject_public_key.as_bytes().and_then(|bytes| pkcs1::RsaPublicKeyRef::from_der(bytes).ok());
        let rsa = rsa.ok_or("its RSA key is damaged")?;
        let modulus = rsa.modulus.as_bytes().len();
        if !(256..=512).contains(&modulus) {
            return Err("its RSA key must have 2048 to 4096 bits");
        }
        // With an exponent of 1 every message would be its own signature (RFC 8017, 3.1: odd, and at least 3).
        let is_odd = |bytes: &[u8]| bytes.last().is_some_and(|last| last % 2 == 1);
        let exponent = rsa.public_exponent.as_bytes();
        if exponent == [1] || !is_odd(exponent) || !is_odd(rsa.modulus.as_bytes()) {
            return Err("its RSA key is not one that can be used");
        }
        Ok(Self { signature_len: modulus, der })
    }

    /// `SubjectPublicKeyInfo` in DER.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The length of a signature by this key, in bytes.
    #[must_use]
    pub fn signature_len(&self) -> usize {
        self.signature_len
    }
}

const BEGIN: &str = "-----BEGIN";

fn parse_pem(text: &str, keys: &mut Vec<PublicKey>) -> Result<(), &'static str> {
    let mut rest = text;
    while let Some((_, block)) = rest.split_once(BEGIN) {
        let (label, block) = block.split_once("-----").ok_or("its BEGIN line is cut off")?;
        match label.trim() {
            "PUBLIC KEY" => {}
            label if label.contains("PRIVATE") => return Err("it is a private key: paste the public one"),
            _ => return Err("its first line is not -----BEGIN PUBLIC KEY-----"),
        }
        let (body, after) = block.split_once("-----END").ok_or("its END line is missing")?;
        keys.push(PublicKey::from_der(decode_base64(body)?)?);
        rest = after;
    }
    Ok(())
}

fn decode_base64(text: &str) -> Result<Vec<u8>, &'static str> {
    any_base64(text).ok_or("it must be PEM or base64")
}

#[cfg(test)]
#[path = "public_key_tests.rs"]
mod tests;
