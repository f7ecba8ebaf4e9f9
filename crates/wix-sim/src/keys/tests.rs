use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

use super::*;

#[test]
fn a_signature_verifies_under_the_public_key() {
    let key = SigningKey::generate().unwrap();
    let signature = key.sign("RS256", b"message").unwrap();
    let der = STANDARD.decode(key.public_der_base64()).unwrap();
    let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, der);
    assert!(public.verify(b"message", &signature).is_ok());
    assert!(public.verify(b"other", &signature).is_err());
}

#[test]
fn a_key_survives_the_round_trip_through_pem() {
    let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
    let text = pem::encode(&pem::Pem::new("PRIVATE KEY", der.as_ref().to_vec()));
    let key = SigningKey::from_pem(&text).unwrap();
    assert_eq!(key.public_der, SigningKey::new(pair).unwrap().public_der);
    assert!(key.public_pem().starts_with("-----BEGIN PUBLIC KEY-----\n"));
}

#[test]
fn the_error_for_a_public_key_names_the_required_pem_block() {
    let public = SigningKey::generate().unwrap().public_pem();
    let error = SigningKey::from_pem(&public).err().unwrap().to_string();
    assert!(error.contains("must have a PRIVATE KEY"), "{error}");
    assert!(SigningKey::from_pem("no key").is_err());
}
