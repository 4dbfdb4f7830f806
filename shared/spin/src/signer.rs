//! `Signer`: pure Rust.

use crate::random::WasiRandom;
use tmcp_ports::{Hash, OaepHash, Random, Signer, SignerError};
use tmcp_protocol::jwk::{EcPublicJwk, PrivateJwk, PublicJwk};

/// RS256 in the component itself.
pub struct PureSigner;

impl Signer for PureSigner {
    async fn sign(&self, key: &PrivateJwk, message: &[u8]) -> Result<Vec<u8>, SignerError> {
        tmcp_rs256::sign(key, message, &|bytes| WasiRandom.fill(bytes))
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
        tmcp_rs256::unwrap(hash, key, wrapped, &|bytes| WasiRandom.fill(bytes))
    }
}
