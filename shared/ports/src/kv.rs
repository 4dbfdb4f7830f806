//! `Kv`: bytes by key. **Eventually consistent: it guards nothing.** A key is written once and never again with other bytes.

use std::future::Future;

/// Bytes of one value at most, chosen so that both KV (25 MiB) and Spin's store (1 MB by its documents) take it.
pub const MAX_BYTES: usize = 512 * 1024;

/// The store did not answer; the text is for the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("key-value store: {0}")]
pub struct KvError(pub String);

/// Bytes by key.
pub trait Kv: Send + Sync {
    /// The bytes under `key`, when this place has seen them already.
    fn get(&self, key: &str) -> impl Future<Output = Result<Option<Vec<u8>>, KvError>> + Send;
    /// Stores at most [`MAX_BYTES`] under `key`.
    fn put(&self, key: &str, bytes: Vec<u8>) -> impl Future<Output = Result<(), KvError>> + Send;
    /// Removes all of these keys; no error when one is not there. After an error some may be gone.
    fn remove(&self, keys: Vec<String>) -> impl Future<Output = Result<(), KvError>> + Send;
}
