//! From a row to its value: inline bytes or KV chunks, decrypted.

use crate::namespace::Namespace;
use crate::seal::KeyRing;
use crate::sql::{self, Entry};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tmcp_http::Failure;
use tmcp_ports::{Clock, Kv, Platform, Row, Sql, stmt};
use tmcp_protocol::storage::StorageKey;

/// The KV key of one chunk.
pub fn chunk_key(blob: &str, n: i64) -> String {
    format!("storage/{blob}/{n}")
}

/// The sealed bytes of a row; `None` when KV has not seen a chunk yet, or no longer has it.
async fn sealed(platform: &impl Platform, entry: &Entry, blob: &str) -> Result<Option<Vec<u8>>, Failure> {
    if entry.chunks == 0 {
        let body = entry.body.as_deref().unwrap_or_default();
        return STANDARD.decode(body).map(Some).map_err(|_| Failure::internal("an inline value is not base64"));
    }
    let mut bytes = Vec::new();
    for n in 0..entry.chunks {
        match platform.kv().get(&chunk_key(blob, n)).await? {
            Some(chunk) => bytes.extend_from_slice(&chunk),
            None => return Ok(None),
        }
    }
    Ok(Some(bytes))
}

/// The value of a row; `None` when its bytes are not to be had at the moment.
pub async fn open(platform: &impl Platform, namespace: &Namespace, entry: &Entry) -> Result<Option<String>, Failure> {
    let (Some(blob), Some(key_id)) = (&entry.blob, &entry.key_id) else {
        return Err(Failure::internal("a row without a value was opened"));
    };
    let Some(bytes) = sealed(platform, entry, blob).await? else { return Ok(None) };
    let key = StorageKey::parse(entry.key.as_str())?;
    let ring = KeyRing::of(platform)?;
    let opened = ring.open(platform, key_id, namespace, &key, blob, &bytes).await;
    opened.map(Some).map_err(|error| Failure::internal(error.to_string()))
}

/// The row under a key, when a reader sees it now.
pub async fn find(platform: &impl Platform, namespace: &Namespace, key: &StorageKey) -> Result<Option<Entry>, Failure> {
    let now = platform.clock().now();
    let statement = stmt!(sql::FIND_ONE, namespace.uid.as_str(), namespace.app.as_str(), now, key.as_str());
    Ok(platform.sql().query(statement).await?.into_iter().next().map(Row::read).transpose()?)
}

/// The row and value under a key. The row may have been overwritten and its blob swept between the two reads, so a miss reads the
/// row again; a miss that stays is 503, never a false 404.
pub async fn find_value(
    platform: &impl Platform,
    namespace: &Namespace,
    key: &StorageKey,
) -> Result<Option<(Entry, String)>, Failure> {
    for _ in 0..3 {
        let Some(entry) = find(platform, namespace, key).await? else { return Ok(None) };
        if let Some(value) = open(platform, namespace, &entry).await? {
            return Ok(Some((entry, value)));
        }
    }
    Err(Failure::unavailable("a blob is missing in KV"))
}

/// The values of rows that were just read, each read again where its blob is gone.
pub async fn values(
    platform: &impl Platform,
    namespace: &Namespace,
    entries: Vec<Entry>,
) -> Result<Vec<(Entry, String)>, Failure> {
    let mut found = Vec::with_capacity(entries.len());
    for entry in entries {
        match open(platform, namespace, &entry).await? {
            Some(value) => found.push((entry, value)),
            None => {
                let key = StorageKey::parse(entry.key)?;
                found.extend(find_value(platform, namespace, &key).await?);
            }
        }
    }
    Ok(found)
}

/// How many bytes of values one answer may still take. An isolate has 128 MiB for everybody.
#[derive(Debug, Clone, Copy)]
pub struct Budget(i64);

impl Budget {
    /// Four MiB.
    pub const fn new() -> Self {
        Self(4 * 1_048_576)
    }

    /// Whether a value of this row still fits; the first one always does.
    pub fn takes(&mut self, entry: &Entry) -> bool {
        let fits = self.0 >= entry.size || self.0 == Self::new().0;
        if fits {
            self.0 -= entry.size;
        }
        fits
    }
}
