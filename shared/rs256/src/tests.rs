//! Verification against signatures that `rsa` made, and against everything that is nearly one.

use super::{padded, public::Modulus, sha256, verify, verify_with};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;
use rsa::pkcs1v15::{Signature, SigningKey, VerifyingKey};
use rsa::signature::{SignatureEncoding, Signer, Verifier};
use rsa::traits::{PrivateKeyParts, PublicKeyParts};
use rsa::{BigUint, RsaPrivateKey, RsaPublicKey};
use sha2::{Sha256, Sha384, Sha512};
use std::sync::OnceLock;
use tmcp_ports::Hash;
use tmcp_protocol::jwk::PublicJwk;

/// Sizes whose words are whole, and one whose highest word is not full.
const SIZES: [usize; 4] = [2048, 2058, 3072, 4096];

fn keys() -> &'static [RsaPrivateKey] {
    static KEYS: OnceLock<Vec<RsaPrivateKey>> = OnceLock::new();
    KEYS.get_or_init(|| SIZES.iter().map(|bits| RsaPrivateKey::new(&mut rsa::rand_core::OsRng, *bits).unwrap()).collect())
}

fn jwk(n: &BigUint, e: &BigUint) -> PublicJwk {
    let text = |number: &BigUint| URL_SAFE_NO_PAD.encode(number.to_bytes_be());
    let json = serde_json::json!({"kty": "RSA", "kid": "k", "use": "sig", "alg": "RS256", "n": text(n), "e": text(e)});
    serde_json::from_value(json).unwrap()
}

/// What `rsa` says, where it takes the key at all.
fn reference(n: &BigUint, e: &BigUint, message: &[u8], signature: &[u8]) -> Option<bool> {
    let key = VerifyingKey::<Sha256>::new(RsaPublicKey::new(n.clone(), e.clone()).ok()?);
    Some(Signature::try_from(signature).is_ok_and(|signature| key.verify(message, &signature).is_ok()))
}

/// The message's private power: a signature over a padding of the forger's choice.
fn forged(key: &RsaPrivateKey, padding: &[u8]) -> Vec<u8> {
    let power = BigUint::from_bytes_be(padding).modpow(key.d(), key.n()).to_bytes_be();
    [vec![0; key.size() - power.len()], power].concat()
}

#[test]
fn what_was_signed_verifies_and_nothing_else_does() {
    for key in keys() {
        let public = jwk(key.n(), key.e());
        let signature = SigningKey::<Sha256>::new(key.clone()).sign(b"message").to_vec();
        assert!(verify(&public, b"message", &signature).unwrap(), "{} bits", key.n().bits());
        assert!(!verify(&public, b"massage", &signature).unwrap());
        for wrong in [&signature[1..], &[&signature[..], &[0]].concat(), &[&[0], &signature[..]].concat(), &[]] {
            assert!(!verify(&public, b"message", wrong).unwrap());
        }
        // The same number, n higher: a second spelling of a signature.
        let higher = (BigUint::from_bytes_be(&signature) + key.n()).to_bytes_be();
        assert!(!verify(&public, b"message", &higher).unwrap());
        assert!(!verify(&public, b"message", &vec![0; key.size()]).unwrap());
        assert!(!verify(&public, b"message", &vec![0xff; key.size()]).unwrap());
    }
}

#[test]
fn under_another_hash_it_is_another_signature() {
    let key = &keys()[0];
    let public = jwk(key.n(), key.e());
    let signatures = [
        (Hash::Sha256, SigningKey::<Sha256>::new(key.clone()).sign(b"message").to_vec()),
        (Hash::Sha384, SigningKey::<Sha384>::new(key.clone()).sign(b"message").to_vec()),
        (Hash::Sha512, SigningKey::<Sha512>::new(key.clone()).sign(b"message").to_vec()),
    ];
    for (made, signature) in &signatures {
        for (asked, _) in &signatures {
            assert_eq!(verify_with(*asked, &public, b"message", signature).unwrap(), made == asked, "{made:?} {asked:?}");
        }
        assert!(!verify_with(*made, &public, b"massage", signature).unwrap());
    }
}

#[test]
fn a_padding_that_is_not_whole_is_refused() {
    let key = &keys()[0];
    let (public, size) = (jwk(key.n(), key.e()), key.size());
    let good = padded(&sha256(b"message"), size);
    assert!(verify(&public, b"message", &forged(key, &good)).unwrap());
    let mut cases = Vec::new();
    for place in [0, 1, 2, 100, size - 52, size - 51, size - 33, size - 1] {
        let mut wrong = good.clone();
        wrong[place] ^= 1;
        cases.push(wrong);
    }
    // Bleichenbacher's: a short padding, and garbage behind the digest.
    let tail = &good[size - 51..];
    cases.push([&[0, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0], tail, &vec![7; size - 11 - 51]].concat());
    for wrong in cases {
        assert!(!verify(&public, b"message", &forged(key, &wrong)).unwrap());
    }
}

#[test]
fn keys_that_are_none_are_errors() {
    let key = &keys()[0];
    let (signature, one) = (vec![1; key.size()], BigUint::from(1_u8));
    let exponents = [one.clone(), BigUint::from(0_u8), BigUint::from(65_536_u32), BigUint::from(0x1_0000_0001_u64)];
    for e in exponents {
        assert!(verify(&jwk(key.n(), &e), b"", &signature).is_err(), "{e}");
    }
    for n in [key.n() - &one, key.n() >> 1024, (key.n() << 2100) + &one, one] {
        assert!(verify(&jwk(&n, key.e()), b"", &signature).is_err());
    }
}

/// A key from elsewhere may have any length, and none takes longer than its words: 2049 bits took two thousand million subtractions.
#[test]
fn a_modulus_may_have_any_number_of_bits() {
    let one = BigUint::from(1_u8);
    for bits in [2048, 2049, 2050, 2056, 2058, 2079, 2080, 2081, 3071, 4064, 4095, 4096] {
        let small = (BigUint::from(0x1234_5678_9abc_u64) << 900) + BigUint::from(12_345_u32);
        // The least and the largest of that length, and between.
        for n in [(&one << (bits - 1)) + &small, (&one << bits) - &small, (&one << bits) - &one, (&one << (bits - 1)) + &one] {
            for base in [(&n >> 3) + BigUint::from(99_u8), &n - &one, one.clone()] {
                let ours = Modulus::new(&n.to_bytes_be()).unwrap().power(&base.to_bytes_be(), 65_537).unwrap();
                assert_eq!(BigUint::from_bytes_be(&ours), base.modpow(&BigUint::from(65_537_u32), &n), "{bits} bits");
            }
        }
    }
}

#[test]
fn an_exponent_is_odd_and_at_least_three() {
    let key = &keys()[0];
    let (modulus, base) = (Modulus::new(&key.n().to_bytes_be()).unwrap(), vec![7; key.size() - 1]);
    for exponent in [0, 1, 2, 4, 65_536] {
        assert_eq!(modulus.power(&base, exponent), None);
    }
    for exponent in [3, 5, 7, 17, u32::MAX] {
        let power = BigUint::from_bytes_be(&base).modpow(&BigUint::from(exponent), key.n());
        assert_eq!(modulus.power(&base, exponent).map(|bytes| BigUint::from_bytes_be(&bytes)), Some(power));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_power_is_that_of_big_integers(which in 0..SIZES.len(), bytes in prop::collection::vec(any::<u8>(), 256..512), e in 3_u32..) {
        let e = e | 1;
        let n = keys()[which].n();
        let base = BigUint::from_bytes_be(&bytes) % n;
        let power = base.modpow(&BigUint::from(e), n).to_bytes_be();
        let modulus = Modulus::new(&n.to_bytes_be()).unwrap();
        let ours = modulus.power(&base.to_bytes_be(), e).unwrap();
        prop_assert_eq!(ours.len(), modulus.bytes());
        prop_assert_eq!(BigUint::from_bytes_be(&ours), BigUint::from_bytes_be(&power));
    }

    #[test]
    fn a_modulus_need_not_be_a_product_of_primes(mut bytes in prop::collection::vec(any::<u8>(), 260), base in prop::collection::vec(any::<u8>(), 256)) {
        bytes[0] |= 1;
        bytes[259] |= 1;
        let n = BigUint::from_bytes_be(&bytes);
        let power = BigUint::from_bytes_be(&base).modpow(&BigUint::from(65_537_u32), &n);
        let ours = Modulus::new(&bytes).unwrap().power(&base, 65_537).unwrap();
        prop_assert_eq!(BigUint::from_bytes_be(&ours), power);
    }

    #[test]
    fn both_judge_alike(which in 0..SIZES.len(), flip in 0..4096_usize, message in prop::collection::vec(any::<u8>(), 0..100)) {
        let key = &keys()[which];
        let mut signature = SigningKey::<Sha256>::new(key.clone()).sign(&message).to_vec();
        let bit = flip % (signature.len() * 9);
        if let Some(byte) = signature.get_mut(bit / 8) {
            *byte ^= 1 << (bit % 8);
        }
        let ours = verify(&jwk(key.n(), key.e()), &message, &signature).unwrap();
        prop_assert_eq!(Some(ours), reference(key.n(), key.e(), &message, &signature));
    }
}
