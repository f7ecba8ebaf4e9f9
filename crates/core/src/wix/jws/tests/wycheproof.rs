//! Project Wycheproof's vectors for RSASSA-PKCS1-v1_5 with SHA-256. They go through the same steps as the signature of
//! a webhook: the parser of the configured key, the check of the length, and the platform's verification.
//!
//! The platform of these tests verifies with the crate `rsa`, and the Worker with its runtime's WebCrypto, for which
//! `tests/it/wycheproof.rs` runs the same vectors.

use ::wycheproof::TestResult;
use ::wycheproof::rsa_pkcs1_verify::{TestName, TestSet};
use base64::engine::general_purpose::STANDARD;
use futures::FutureExt as _;

use super::*;
use crate::testing::Fake;

/// Runs the vectors of a set, of which there must be at least so many.
fn run(name: TestName, at_least: usize) {
    let set = TestSet::load(name).expect("the vectors");
    let mut refused = 0;
    let mut vectors = 0;
    for group in &set.test_groups {
        let key = PublicKey::parse_all(&STANDARD.encode(&group.der)).expect("a key that the configuration accepts");
        assert_eq!(key, PublicKey::parse_all(&group.pem).expect("the same key as PEM"));
        for vector in &group.tests {
            vectors += 1;
            let verified = is_by_any(&Fake::default(), &key, &vector.msg, &vector.sig).now_or_never();
            let accepted = verified.expect("a result at the first poll").expect("a result");
            // The vector with the result `Acceptable` lacks the NULL after the hash's name. It must be refused: by RFC
            // 8017, 9.2, every signer writes the NULL.
            let wanted = vector.result == TestResult::Valid;
            assert_eq!(accepted, wanted, "{name:?} {}: {} {:?}", vector.tc_id, vector.comment, vector.flags);
            refused += usize::from(!accepted);
        }
    }
    println!("{name:?}: {vectors} vectors, {refused} refused");
    assert!(vectors >= at_least && refused > vectors / 2, "{vectors} vectors, {refused} refused");
}

#[test]
fn vectors_for_2048_bits_have_the_expected_results() {
    run(TestName::Rsa2048Sha256, 259);
}

#[test]
fn vectors_for_3072_bits_have_the_expected_results() {
    run(TestName::Rsa3072Sha256, 259);
}

#[test]
fn vectors_for_4096_bits_have_the_expected_results() {
    run(TestName::Rsa4096Sha256, 258);
}

#[test]
fn vectors_with_too_large_keys_are_refused() {
    for group in TestSet::load(TestName::Rsa8192Sha256).expect("the vectors").test_groups {
        assert!(PublicKey::parse_all(&group.pem).is_err(), "{} bits", group.key_size);
    }
}
