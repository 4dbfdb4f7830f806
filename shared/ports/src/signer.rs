//! `Signer`: RS256 signatures (RFC 7518 section 3.3), and verifying ES256 (section 3.4). WebCrypto on Workers, pure Rust elsewhere.

use std::future::Future;
use tmcp_protocol::jwk::{EcPublicJwk, PrivateJwk, PublicJwk};

/// The key could not be used; the text is for the log and holds no part of a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("signer: {0}")]
pub struct SignerError(pub String);

/// Signatures.
pub trait Signer: Send + Sync {
    /// RSASSA-PKCS1-v1_5 with SHA-256 over `message`.
    fn sign(&self, key: &PrivateJwk, message: &[u8]) -> impl Future<Output = Result<Vec<u8>, SignerError>> + Send;
    /// Whether `signature` is one over `message` by `key`. A malformed signature is `false`, not an error.
    fn verify(&self, key: &PublicJwk, message: &[u8], signature: &[u8])
    -> impl Future<Output = Result<bool, SignerError>> + Send;
    /// The same for ECDSA on P-256 with SHA-256, for what identity providers sign: `signature` is R and S, 32 bytes each.
    fn verify_es256(
        &self,
        key: &EcPublicJwk,
        message: &[u8],
        signature: &[u8],
    ) -> impl Future<Output = Result<bool, SignerError>> + Send;
}
