//! ES256 (RFC 7518 section 3.4) in pure Rust: Spin and host tests. Verifying only: what we sign is RS256, as TMCP has it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p256::EncodedPoint;
use p256::ecdsa::signature::Verifier;
use p256::ecdsa::{Signature, VerifyingKey};
use tmcp_ports::SignerError;
use tmcp_protocol::jwk::EcPublicJwk;

/// A coordinate: 32 bytes, those that are zero at its front with them (RFC 7518 section 6.2.1.2).
fn coordinate(text: &str) -> Option<[u8; 32]> {
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

/// Whether `signature`, R and S of 32 bytes each, is one over `message`. A malformed one is `false`; a key that is no point of the curve is
/// an error.
pub fn verify(key: &EcPublicJwk, message: &[u8], signature: &[u8]) -> Result<bool, SignerError> {
    let unfit = || SignerError(format!("public key {}: no point of P-256", key.kid));
    let (x, y) = (coordinate(&key.x).ok_or_else(unfit)?, coordinate(&key.y).ok_or_else(unfit)?);
    let point = EncodedPoint::from_affine_coordinates(&x.into(), &y.into(), false);
    let verifying = VerifyingKey::from_encoded_point(&point).map_err(|_| unfit())?;
    Ok(Signature::from_slice(signature).is_ok_and(|signature| verifying.verify(message, &signature).is_ok()))
}
