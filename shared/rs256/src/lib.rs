//! RS256 (RFC 7518 section 3.3) in pure Rust: Spin and host tests. Workers sign by WebCrypto, which is ten times as fast there.
//!
//! Signing is `rsa`'s, since a private key is in it; verifying is our own (ADR 8).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use public::Modulus;
use rsa::pkcs1v15::SigningKey;
use rsa::signature::{RandomizedSigner, SignatureEncoding};
use rsa::{BigUint, RsaPrivateKey};
use sha2::{Digest, Sha256};
use tmcp_ports::SignerError;
use tmcp_protocol::jwk::{PrivateJwk, PublicJwk};

mod public;

fn decoded(text: &str) -> Result<Vec<u8>, SignerError> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| SignerError("a key member is not base64url".to_owned()))
}

fn number(text: &str) -> Result<BigUint, SignerError> {
    decoded(text).map(|bytes| BigUint::from_bytes_be(&bytes))
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

/// What stands before the digest in a padded message (RFC 8017 section 9.2, note 1): SHA-256, as DER.
const SHA256_DIGEST_INFO: [u8; 19] =
    [0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20];

/// The padded message of a length (RFC 8017 section 9.2): compared as a whole, so that nothing in the padding is left unread.
fn padded(message: &[u8], bytes: usize) -> Vec<u8> {
    let tail = [&SHA256_DIGEST_INFO[..], &Sha256::digest(message)].concat();
    let filling = vec![0xff; bytes.saturating_sub(tail.len() + 3)];
    [&[0, 1], &filling[..], &[0], &tail[..]].concat()
}

/// Whether `signature` is one over `message` (RFC 8017 section 8.2.2).
pub fn verify(key: &PublicJwk, message: &[u8], signature: &[u8]) -> Result<bool, SignerError> {
    let unfit = |what: &str| SignerError(format!("public key {}: {what}", key.kid));
    let modulus = Modulus::new(&decoded(&key.n)?).ok_or_else(|| unfit("the modulus must be odd and have 2048 to 4096 bits"))?;
    let exponent = decoded(&key.e)?;
    if exponent.len() > 4 || exponent.last().is_none_or(|byte| byte % 2 == 0) {
        return Err(unfit("the exponent must be odd and have at most 32 bits"));
    }
    let exponent = exponent.iter().fold(0, |value, byte| value << 8 | u32::from(*byte));
    if exponent < 3 {
        return Err(unfit("the exponent is too small"));
    }
    if signature.len() != modulus.bytes() {
        return Ok(false);
    }
    Ok(modulus.power(signature, exponent).is_some_and(|opened| opened == padded(message, modulus.bytes())))
}

#[cfg(test)]
mod tests;
