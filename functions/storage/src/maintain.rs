//! POST /internal/maintain/storage: periodic work, in bounded portions, each idempotent and safe to die in.
//!
//! Expired keys become tombstones; tombstones go after thirty days; intents of writes that never ended become garbage after an
//! hour; garbage goes after ten minutes, when no reader can still hold its row; values under an old master key are sealed anew.

use crate::key_count;
use crate::namespace::Namespace;
use crate::read::{self, chunk_key};
use crate::seal::KeyRing;
use crate::sql::{self, BlobRow, NamespaceRow};
use crate::write::{self, limits};
use serde::Deserialize;
use serde_json::json;
use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::{Clock, Kv, Platform, Row, Sql, stmt};
use tmcp_protocol::storage::{StorageKey, TOMBSTONE_MS};

/// Intents older than this belong to nobody.
const INTENT_MS: i64 = 60 * 60 * 1000;
/// A reader that holds an old row has read its blob by then.
const GARBAGE_MS: i64 = 10 * 60 * 1000;
/// Rows of each kind in one portion.
const PORTION: i64 = 100;

/// The handler. Answers with how much of each there was.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let platform = &call.platform;
    Reply::json(&json!({
        "expired_namespaces": expire(platform).await?,
        "purged_namespaces": purge(platform).await?,
        "stale_intents": stale_intents(platform).await?,
        "garbage": collect(platform).await?,
        "resealed": reseal(platform).await?,
        "values_per_key": key_count::counts(platform).await?,
    }))
}

async fn expire<P: Platform>(platform: &P) -> Result<usize, Failure> {
    let now = platform.clock().now();
    let limits = limits(platform)?;
    let namespaces: Vec<NamespaceRow> = platform.sql().rows(stmt!(sql::EXPIRED, now, PORTION)).await?;
    for NamespaceRow { uid, app } in &namespaces {
        let (uid, app) = (uid.as_str(), app.as_str());
        let statements = vec![
            stmt!(sql::BUMP, uid, app, now, 1, limits.bytes, limits.keys),
            stmt!(sql::RETIRE_EXPIRED, uid, app, now),
            stmt!(sql::EXPIRE, uid, app, now),
            stmt!(sql::RECOUNT, uid, app, now, false),
        ];
        platform.sql().batch(statements).await?;
    }
    Ok(namespaces.len())
}

async fn purge<P: Platform>(platform: &P) -> Result<usize, Failure> {
    let before = platform.clock().now().plus(-TOMBSTONE_MS);
    let namespaces: Vec<NamespaceRow> = platform.sql().rows(stmt!(sql::OLD_TOMBSTONES, before, PORTION)).await?;
    for NamespaceRow { uid, app } in &namespaces {
        let (uid, app) = (uid.as_str(), app.as_str());
        let statements = vec![stmt!(sql::MARK_PURGE, uid, app, before), stmt!(sql::PURGE, uid, app, before)];
        platform.sql().batch(statements).await?;
    }
    Ok(namespaces.len())
}

async fn stale_intents<P: Platform>(platform: &P) -> Result<usize, Failure> {
    let before = platform.clock().now().plus(-INTENT_MS);
    let rows: Vec<BlobRow> = platform.sql().rows(stmt!(sql::STALE_INTENTS, before, PORTION)).await?;
    let blobs: Vec<String> = rows.into_iter().map(|row| row.blob).collect();
    if !blobs.is_empty() {
        // First the intent goes, so that a write that is still on its way fails; then, ten minutes later, the bytes.
        write::abandon(platform, &blobs).await?;
    }
    Ok(blobs.len())
}

async fn collect<P: Platform>(platform: &P) -> Result<usize, Failure> {
    let before = platform.clock().now().plus(-GARBAGE_MS);
    let rows: Vec<BlobRow> = platform.sql().rows(stmt!(sql::OLD_GARBAGE, before, PORTION)).await?;
    for BlobRow { blob, chunks } in &rows {
        for n in 0..*chunks {
            platform.kv().delete(&chunk_key(blob, n)).await?;
        }
    }
    if !rows.is_empty() {
        let blobs: Vec<&str> = rows.iter().map(|row| row.blob.as_str()).collect();
        let payload = serde_json::to_string(&blobs).map_err(|error| Failure::internal(error.to_string()))?;
        platform.sql().query(stmt!(sql::FORGET_GARBAGE, payload)).await?;
    }
    Ok(rows.len())
}

#[derive(Deserialize)]
struct OwnedEntry {
    #[serde(flatten)]
    namespace: NamespaceRow,
    #[serde(flatten)]
    entry: sql::Entry,
}

async fn reseal<P: Platform>(platform: &P) -> Result<usize, Failure> {
    let ring = KeyRing::of(platform)?;
    let rows = platform.sql().query(stmt!(sql::UNDER_OLD_KEY, ring.current(), PORTION)).await?;
    let count = rows.len();
    for row in rows {
        reseal_one(platform, row).await?;
    }
    Ok(count)
}

/// Seals one value anew under a new blob id; a write that comes in between wins, since the row's blob is another one then.
async fn reseal_one<P: Platform>(platform: &P, row: Row) -> Result<(), Failure> {
    let OwnedEntry { namespace: NamespaceRow { uid, app }, entry } = row.decode()?;
    let namespace = Namespace { uid, app };
    let Some(value) = read::open(platform, &namespace, &entry).await? else { return Ok(()) };
    let key = StorageKey::parse(entry.key.as_str())?;
    let sealed = [write::seal(platform, &namespace, &key, &value)?];
    let [new] = &sealed;
    let now = platform.clock().now();
    let announced = json!([{"blob": new.blob, "chunks": new.chunk_count(), "key": entry.key}]).to_string();
    if !new.chunks.is_empty() {
        platform.sql().query(stmt!(sql::INTEND, now, announced.as_str())).await?;
        write::store_chunks(platform, &sealed).await?;
    }
    let (uid, app, old) = (namespace.uid.as_str(), namespace.app.as_str(), entry.blob.as_deref());
    let statements = vec![
        stmt!(
            sql::RESEAL,
            uid,
            app,
            entry.key.as_str(),
            old,
            new.blob.as_str(),
            new.chunk_count(),
            new.key_id.as_str(),
            new.body.as_deref()
        ),
        stmt!(sql::RETIRE_ONE, uid, app, entry.key.as_str(), old, entry.chunks, now),
        stmt!(sql::SETTLE, uid, app, announced.as_str()),
    ];
    platform.sql().batch(statements).await?;
    Ok(())
}
