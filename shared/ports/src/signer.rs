//! `Signer`: RS256 signatures (RFC 7518 section 3.3), and verifying ES256 (section 3.4); and keys that come under an RSA key of ours.
//! WebCrypto on Workers, pure Rust elsewhere.

use std::future::Future;
use tmcp_protocol::jwk::{EcPublicJwk, PrivateJwk, PublicJwk};

/// The key could not be used; the text is for the log and holds no part of a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("signer: {0}")]
pub struct SignerError(pub String);

/// How a message is digested before it is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hash {
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

/// The hash of OAEP (RFC 8017 section 7.1), and of its mask. SHA-1 is as good as the others there: nothing rests on collisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OaepHash {
    /// SHA-1, which XML Encryption 1.0 has.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

/// What is done with RSA keys and keys on curves.
pub trait Signer: Send + Sync {
    /// RSASSA-PKCS1-v1_5 with SHA-256 over `message`.
    fn sign(&self, key: &PrivateJwk, message: &[u8]) -> impl Future<Output = Result<Vec<u8>, SignerError>> + Send;
    /// Whether `signature` is one over `message` by `key`. A malformed signature is `false`, not an error.
    fn verify(&self, key: &PublicJwk, message: &[u8], signature: &[u8])
    -> impl Future<Output = Result<bool, SignerError>> + Send;
    /// The same under another hash, for what SAML identity providers sign.
    fn verify_with(
        &self,
        hash: Hash,
        key: &PublicJwk,
        message: &[u8],
        signature: &[u8],
    ) -> impl Future<Output = Result<bool, SignerError>> + Send;
    /// The same for ECDSA on P-256 with SHA-256, for what identity providers sign: `signature` is R and S, 32 bytes each.
    fn verify_es256(
        &self,
        key: &EcPublicJwk,
        message: &[u8],
        signature: &[u8],
    ) -> impl Future<Output = Result<bool, SignerError>> + Send;
    /// The key that was encrypted for `key` by RSA-OAEP; `None` where nothing was, in a time that does not tell why.
    fn unwrap(
        &self,
        hash: OaepHash,
        key: &PrivateJwk,
        wrapped: &[u8],
    ) -> impl Future<Output = Result<Option<Vec<u8>>, SignerError>> + Send;
}
