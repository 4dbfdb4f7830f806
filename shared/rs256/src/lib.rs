//! RS256 (RFC 7518 section 3.3) in pure Rust: Spin and host tests. Workers sign by WebCrypto, which is ten times as fast there.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rsa::pkcs1v15::{Signature, SigningKey, VerifyingKey};
use rsa::signature::{RandomizedSigner, SignatureEncoding, Verifier};
use rsa::{BigUint, RsaPrivateKey, RsaPublicKey};
use sha2::Sha256;
use tmcp_ports::SignerError;
use tmcp_protocol::jwk::{PrivateJwk, PublicJwk};

fn number(text: &str) -> Result<BigUint, SignerError> {
    URL_SAFE_NO_PAD
        .decode(text)
        .map(|bytes| BigUint::from_bytes_be(&bytes))
        .map_err(|_| SignerError("a key member is not base64url".to_owned()))
}

/// Signs with blinding, so that the time taken tells nothing about the key.
pub fn sign(key: &PrivateJwk, message: &[u8]) -> Result<Vec<u8>, SignerError> {
    let primes = vec![number(key.p.expose())?, number(key.q.expose())?];
    let key = RsaPrivateKey::from_components(number(&key.public.n)?, number(&key.public.e)?, number(key.d.expose())?, primes)
        .map_err(|error| SignerError(format!("private key: {error}")))?;
    let signature = SigningKey::<Sha256>::new(key)
        .try_sign_with_rng(&mut rsa::rand_core::OsRng, message)
        .map_err(|error| SignerError(format!("signing: {error}")))?;
    Ok(signature.to_vec())
}

/// Whether `signature` is one over `message`.
pub fn verify(key: &PublicJwk, message: &[u8], signature: &[u8]) -> Result<bool, SignerError> {
    let key = RsaPublicKey::new(number(&key.n)?, number(&key.e)?).map_err(|error| SignerError(format!("public key: {error}")))?;
    let Ok(signature) = Signature::try_from(signature) else { return Ok(false) };
    Ok(VerifyingKey::<Sha256>::new(key).verify(message, &signature).is_ok())
}
