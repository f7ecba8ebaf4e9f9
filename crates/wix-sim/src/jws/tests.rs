use super::*;

#[test]
fn the_signature_of_an_hs256_jws_covers_header_and_claims() {
    let jws = hs256(b"key", "abcdefgh", r#"{"data":"{}"}"#);
    let (input, signature) = jws.rsplit_once('.').unwrap();
    assert_eq!(input.matches('.').count(), 1);
    assert!(hmac_matches(b"key", input.as_bytes(), &decode(signature).unwrap()));
    assert!(!hmac_matches(b"other", input.as_bytes(), &decode(signature).unwrap()));
    let header = decode(input.split('.').next().unwrap()).unwrap();
    assert_eq!(header, br#"{"kid":"abcdefgh","alg":"HS256"}"#);
}
