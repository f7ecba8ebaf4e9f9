//! Project Wycheproof's vectors for RSASSA-PKCS1-v1_5 with SHA-256, on the way that a webhook's signature takes here:
//! the key as it is configured, the signature's length, the platform's answer.
//!
//! The platform of these tests verifies with the crate `rsa`, the Worker with its runtime's WebCrypto: that one meets the
//! same vectors in `tests/it/wycheproof.rs`.

use ::wycheproof::TestResult;
use ::wycheproof::rsa_pkcs1_verify::{TestName, TestSet};
use base64::engine::general_purpose::STANDARD;
use futures::FutureExt as _;

use super::*;
use crate::testing::Fake;

/// Every vector, with what came of it. Of none there may be fewer than there are today.
fn run(name: TestName, at_least: usize) {
    let set = TestSet::load(name).expect("the vectors");
    let mut refused = 0;
    let mut vectors = 0;
    for group in &set.test_groups {
        let key = PublicKey::parse_all(&STANDARD.encode(&group.der)).expect("a key that may be configured");
        assert_eq!(key, PublicKey::parse_all(&group.pem).expect("the same key as PEM"));
        for vector in &group.tests {
            vectors += 1;
            let verified = is_by_any(&Fake::default(), &key, &vector.msg, &vector.sig).now_or_never();
            let accepted = verified.expect("an answer at once").expect("an answer");
            // The one that is merely acceptable leaves out the NULL after the hash's name: an encoding that signers of
            // the nineties made. Nobody needs it here, so it is refused.
            let wanted = vector.result == TestResult::Valid;
            assert_eq!(accepted, wanted, "{name:?} {}: {} {:?}", vector.tc_id, vector.comment, vector.flags);
            refused += usize::from(!accepted);
        }
    }
    println!("{name:?}: {vectors} vectors, {refused} refused");
    assert!(vectors >= at_least && refused > vectors / 2, "{vectors} vectors, {refused} refused");
}

#[test]
fn wycheproofs_vectors_for_2048_bits_are_told_apart() {
    run(TestName::Rsa2048Sha256, 259);
}

#[test]
fn wycheproofs_vectors_for_3072_bits_are_told_apart() {
    run(TestName::Rsa3072Sha256, 259);
}

#[test]
fn wycheproofs_vectors_for_4096_bits_are_told_apart() {
    run(TestName::Rsa4096Sha256, 258);
}

#[test]
fn keys_of_wycheproof_that_are_too_large_are_refused() {
    for group in TestSet::load(TestName::Rsa8192Sha256).expect("the vectors").test_groups {
        assert!(PublicKey::parse_all(&group.pem).is_err(), "{} bits", group.key_size);
    }
}
