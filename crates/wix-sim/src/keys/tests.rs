use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

use super::*;

#[test]
fn a_signature_verifies_under_the_public_key_that_is_handed_out() {
    let key = SigningKey::generate().unwrap();
    let signature = key.sign("RS256", b"message").unwrap();
    let der = STANDARD.decode(key.public_der_base64()).unwrap();
    let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, der);
    assert!(public.verify(b"message", &signature).is_ok());
    assert!(public.verify(b"other", &signature).is_err());
}

#[test]
fn a_key_written_as_pem_is_read_back_as_the_same_key() {
    let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
    let text = pem::encode(&pem::Pem::new("PRIVATE KEY", der.as_ref().to_vec()));
    let key = SigningKey::from_pem(&text).unwrap();
    assert_eq!(key.public_der, SigningKey::new(pair).unwrap().public_der);
    assert!(key.public_pem().starts_with("-----BEGIN PUBLIC KEY-----\n"));
}

#[test]
fn a_file_without_a_private_rsa_key_is_refused_in_plain_words() {
    let public = SigningKey::generate().unwrap().public_pem();
    let told = SigningKey::from_pem(&public).err().unwrap().to_string();
    assert!(told.contains("PRIVATE KEY block is needed"), "{told}");
    assert!(SigningKey::from_pem("no key").is_err());
}
