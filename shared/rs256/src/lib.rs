//! RS256 (RFC 7518 section 3.3) in pure Rust: Spin and host tests. Workers sign by WebCrypto, which is ten times as fast there.
//!
//! Signing, and opening what is encrypted for us, is `rsa`'s, since a private key is in it; verifying is our own (ADR 8). Both blind the key
//! with random bytes that the caller draws: `rsa`'s own generator would ask another WASI for them than our components speak (ADR 26).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use public::Modulus;
use rsa::pkcs1v15::SigningKey;
use rsa::rand_core::{CryptoRng, Error, RngCore, impls};
use rsa::signature::{RandomizedSigner, SignatureEncoding};
use rsa::{BigUint, Oaep, RsaPrivateKey};
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha384, Sha512};
use tmcp_ports::{Hash, OaepHash, SignerError};
use tmcp_protocol::jwk::{PrivateJwk, PublicJwk};

mod public;

/// Fills with random bytes that nobody can foresee.
pub type Fill<'a> = &'a dyn Fn(&mut [u8]);

struct Drawn<'a>(Fill<'a>);

impl RngCore for Drawn<'_> {
    fn next_u32(&mut self) -> u32 {
        impls::next_u32_via_fill(self)
    }

    fn next_u64(&mut self) -> u64 {
        impls::next_u64_via_fill(self)
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        (self.0)(bytes);
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Error> {
        self.fill_bytes(bytes);
        Ok(())
    }
}

/// What `Fill` promises.
impl CryptoRng for Drawn<'_> {}

fn decoded(text: &str) -> Result<Vec<u8>, SignerError> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| SignerError("a key member is not base64url".to_owned()))
}

fn number(text: &str) -> Result<BigUint, SignerError> {
    decoded(text).map(|bytes| BigUint::from_bytes_be(&bytes))
}

fn private(key: &PrivateJwk) -> Result<RsaPrivateKey, SignerError> {
    let primes = vec![number(key.p.expose())?, number(key.q.expose())?];
    RsaPrivateKey::from_components(number(&key.public.n)?, number(&key.public.e)?, number(key.d.expose())?, primes)
        .map_err(|error| SignerError(format!("private key: {error}")))
}

/// Opens what was encrypted for a key by RSA-OAEP, with blinding; `None` where that is not what it is.
pub fn unwrap(hash: OaepHash, key: &PrivateJwk, wrapped: &[u8], random: Fill<'_>) -> Result<Option<Vec<u8>>, SignerError> {
    let padding = match hash {
        OaepHash::Sha1 => Oaep::new::<Sha1>(),
        OaepHash::Sha256 => Oaep::new::<Sha256>(),
        OaepHash::Sha384 => Oaep::new::<Sha384>(),
        OaepHash::Sha512 => Oaep::new::<Sha512>(),
    };
    Ok(private(key)?.decrypt_blinded(&mut Drawn(random), padding, wrapped).ok())
}

/// Signs with blinding, so that the time taken tells nothing about the key.
pub fn sign(key: &PrivateJwk, message: &[u8], random: Fill<'_>) -> Result<Vec<u8>, SignerError> {
    let signature = SigningKey::<Sha256>::new(private(key)?)
        .try_sign_with_rng(&mut Drawn(random), message)
        .map_err(|error| SignerError(format!("signing: {error}")))?;
    Ok(signature.to_vec())
}

/// A digest, with what stands before it in a padded message (RFC 8017 section 9.2, note 1), as DER: the same of every SHA-2 but for
/// its number and the lengths.
fn digest_info(number: u8, digest: &[u8]) -> Vec<u8> {
    let length = digest.len() as u8;
    let head = [0x30, 0x11 + length, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, number];
    [&head[..], &[0x05, 0x00, 0x04, length], digest].concat()
}

/// The padded message of a length (RFC 8017 section 9.2): compared as a whole, so that nothing in the padding is left unread.
fn padded(tail: &[u8], bytes: usize) -> Vec<u8> {
    let filling = vec![0xff; bytes.saturating_sub(tail.len() + 3)];
    [&[0, 1], &filling[..], &[0], tail].concat()
}

/// The digest of a message under SHA-256.
fn sha256(message: &[u8]) -> Vec<u8> {
    digest_info(1, &Sha256::digest(message))
}

/// Whether `signature` is one over `message` (RFC 8017 section 8.2.2), under SHA-256.
pub fn verify(key: &PublicJwk, message: &[u8], signature: &[u8]) -> Result<bool, SignerError> {
    opens_to(key, signature, &sha256(message))
}

/// The same under another hash. A function of its own: most modules need no other, and SHA-512 would be weight to them.
pub fn verify_with(hash: Hash, key: &PublicJwk, message: &[u8], signature: &[u8]) -> Result<bool, SignerError> {
    let tail = match hash {
        Hash::Sha256 => sha256(message),
        Hash::Sha384 => digest_info(2, &Sha384::digest(message)),
        Hash::Sha512 => digest_info(3, &Sha512::digest(message)),
    };
    opens_to(key, signature, &tail)
}

fn opens_to(key: &PublicJwk, signature: &[u8], tail: &[u8]) -> Result<bool, SignerError> {
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
    Ok(modulus.power(signature, exponent).is_some_and(|opened| opened == padded(tail, modulus.bytes())))
}

#[cfg(test)]
mod tests;
