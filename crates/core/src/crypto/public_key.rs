//! The app's public keys, in every form in which developers paste them (docs/wix.md, 4.3; mistakes, 11 no. 4).

use spki::der::Decode as _;

use super::sealing::any_base64;

/// An RSA public key of 2048 to 4096 bits, as `SubjectPublicKeyInfo` (RFC 5280) in DER.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    der: Vec<u8>,
    signature_len: usize,
}

/// Why a text is not a list of usable public keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PublicKeyError {
    /// No key in it.
    #[error("it must not be empty")]
    Empty,
    /// Neither PEM nor base64.
    #[error("it must be PEM or base64")]
    NotBase64,
    /// The BEGIN line has no end.
    #[error("its BEGIN line is cut off")]
    NoBegin,
    /// There is no END line.
    #[error("its END line is missing")]
    NoEnd,
    /// PEM of something else.
    #[error("its first line must be -----BEGIN PUBLIC KEY-----")]
    Label,
    /// PEM of a private key.
    #[error("it must be the public key: this is a private one")]
    Private,
    /// Not `SubjectPublicKeyInfo`.
    #[error("it must be a public key: the text between BEGIN and END was altered or cut off")]
    NotAKey,
    /// Another algorithm.
    #[error("it must be an RSA key")]
    NotRsa,
    /// The RSA key inside cannot be parsed.
    #[error("its RSA key is damaged")]
    Damaged,
    /// Another length.
    #[error("its RSA key must have 2048 to 4096 bits")]
    Length,
    /// A modulus or an exponent with which RSA is not secure.
    #[error("its RSA key must have an odd modulus, and an odd exponent of at least 3")]
    Insecure,
}

impl PublicKey {
    /// Parses one or more keys: PEM, PEM on one line with `\n` written as two characters, base64 of PEM, or base64 of
    /// the DER. Several keys follow each other (PEM) or are separated by commas.
    pub fn parse_all(text: &str) -> Result<Vec<Self>, PublicKeyError> {
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
        if keys.is_empty() { Err(PublicKeyError::Empty) } else { Ok(keys) }
    }

    fn from_der(der: Vec<u8>) -> Result<Self, PublicKeyError> {
        let info = spki::SubjectPublicKeyInfoRef::from_der(&der).map_err(|_| PublicKeyError::NotAKey)?;
        if info.algorithm.oid != pkcs1::ALGORITHM_OID {
            return Err(PublicKeyError::NotRsa);
        }
        let rsa = info.subject_public_key.as_bytes().and_then(|bytes| pkcs1::RsaPublicKeyRef::from_der(bytes).ok());
        let rsa = rsa.ok_or(PublicKeyError::Damaged)?;
        let modulus = rsa.modulus.as_bytes().len();
        if !(256..=512).contains(&modulus) {
            return Err(PublicKeyError::Length);
        }
        // With an exponent of 1 every message is its own signature. RFC 8017, 3.1 asks for an odd one of at least 3.
        let is_odd = |bytes: &[u8]| bytes.last().is_some_and(|last| last % 2 == 1);
        let exponent = rsa.public_exponent.as_bytes();
        if exponent == [1] || !is_odd(exponent) || !is_odd(rsa.modulus.as_bytes()) {
            return Err(PublicKeyError::Insecure);
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

fn parse_pem(text: &str, keys: &mut Vec<PublicKey>) -> Result<(), PublicKeyError> {
    let mut rest = text;
    while let Some((_, block)) = rest.split_once(BEGIN) {
        let (label, block) = block.split_once("-----").ok_or(PublicKeyError::NoBegin)?;
        match label.trim() {
            "PUBLIC KEY" => {}
            label if label.contains("PRIVATE") => return Err(PublicKeyError::Private),
            _ => return Err(PublicKeyError::Label),
        }
        let (body, after) = block.split_once("-----END").ok_or(PublicKeyError::NoEnd)?;
        keys.push(PublicKey::from_der(decode_base64(body)?)?);
        rest = after;
    }
    Ok(())
}

fn decode_base64(text: &str) -> Result<Vec<u8>, PublicKeyError> {
    any_base64(text).ok_or(PublicKeyError::NotBase64)
}

#[cfg(test)]
mod tests;
