//! `Aead`: AES-256-GCM with a tag of 16 bytes behind the text (NIST SP 800-38D, RFC 5116 section 5.2). WebCrypto on Workers where a
//! value is large, pure Rust elsewhere: the bytes are the same.

use std::future::Future;

/// What text is sealed under. A nonce is used once with its key.
#[derive(Clone, Copy)]
pub struct Sealing<'a> {
    /// The key.
    pub key: &'a [u8; 32],
    /// The nonce.
    pub nonce: &'a [u8; 12],
    /// Associated data: not kept, but needed again for opening.
    pub associated: &'a [u8],
}

/// Why something was not sealed or opened. Holds no part of a key or text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AeadError {
    /// The bytes were not sealed so, or were changed.
    #[error("sealed bytes do not open")]
    Corrupt,
    /// It could not be done at all; the text is for the log.
    #[error("AES-GCM: {0}")]
    Unavailable(String),
}

/// Authenticated encryption.
pub trait Aead: Send + Sync {
    /// The text, encrypted, and its tag.
    fn seal(&self, sealing: Sealing<'_>, plain: &[u8]) -> impl Future<Output = Result<Vec<u8>, AeadError>> + Send;
    /// The text of what was sealed so.
    fn open(&self, sealing: Sealing<'_>, sealed: &[u8]) -> impl Future<Output = Result<Vec<u8>, AeadError>> + Send;
}
