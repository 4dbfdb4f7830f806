//! A signing key for tests, made once per process.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rsa::rand_core::{OsRng, RngCore};
use rsa::traits::{PrivateKeyParts, PublicKeyParts};
use rsa::{BigUint, RsaPrivateKey};
use std::sync::OnceLock;
use tmcp_ports::{Hash, OaepHash, Signer, SignerError};
use tmcp_protocol::jwk::{EcPublicJwk, PrivateJwk, PublicJwk};

fn text(number: &BigUint) -> String {
    URL_SAFE_NO_PAD.encode(number.to_bytes_be())
}

/// A private key ring of one RSA-2048 key, as configuration has it.
///
/// # Panics
/// When no key can be made.
#[allow(clippy::expect_used)]
pub fn private_ring() -> &'static str {
    static RING: OnceLock<String> = OnceLock::new();
    RING.get_or_init(|| {
        let mut key = RsaPrivateKey::new(&mut OsRng, 2048).expect("an RSA key");
        key.precompute().expect("CRT values");
        let (p, q) = (key.primes().first().expect("p"), key.primes().get(1).expect("q"));
        let qi = key.crt_coefficient().expect("qi");
        serde_json::json!({"keys": [{
            "kty": "RSA", "kid": "test-1", "alg": "RS256", "use": "sig",
            "n": text(key.n()), "e": text(key.e()), "d": text(key.d()), "p": text(p), "q": text(q),
            "dp": text(key.dp().expect("dp")), "dq": text(key.dq().expect("dq")), "qi": text(&qi),
        }]})
        .to_string()
    })
}

/// The public half of [`private_ring`].
///
/// # Panics
/// When the ring does not parse.
#[allow(clippy::expect_used)]
pub fn public_ring() -> String {
    let ring = tmcp_protocol::jwk::KeySet::parse_private(private_ring()).expect("a key ring");
    serde_json::to_string(&ring.public()).expect("a key set")
}

fn random(bytes: &mut [u8]) {
    OsRng.fill_bytes(bytes);
}

/// A signature under RS256.
///
/// # Errors
/// When the key is none.
pub fn sign(key: &PrivateJwk, message: &[u8]) -> Result<Vec<u8>, SignerError> {
    tmcp_rs256::sign(key, message, &random)
}

/// RS256 in pure Rust.
#[derive(Clone, Copy, Default)]
pub struct PureSigner;

impl Signer for PureSigner {
    async fn sign(&self, key: &PrivateJwk, message: &[u8]) -> Result<Vec<u8>, SignerError> {
        sign(key, message)
    }

    async fn verify(&self, key: &PublicJwk, message: &[u8], signature: &[u8]) -> Result<bool, SignerError> {
        tmcp_rs256::verify(key, message, signature)
    }

    async fn verify_with(&self, hash: Hash, key: &PublicJwk, message: &[u8], signature: &[u8]) -> Result<bool, SignerError> {
        tmcp_rs256::verify_with(hash, key, message, signature)
    }

    async fn verify_es256(&self, key: &EcPublicJwk, message: &[u8], signature: &[u8]) -> Result<bool, SignerError> {
        tmcp_es256::verify(key, message, signature)
    }

    async fn unwrap(&self, hash: OaepHash, key: &PrivateJwk, wrapped: &[u8]) -> Result<Option<Vec<u8>>, SignerError> {
        tmcp_rs256::unwrap(hash, key, wrapped, &random)
    }
}
