//! POST /internal/maintain/storage: periodic work, in bounded portions, each idempotent and safe to die in.
//!
//! Expired keys become tombstones; tombstones go after thirty days; intents of writes that never ended become garbage after an
//! hour; garbage goes after ten minutes, when no reader can still hold its row; values under an old master key are sealed anew.

use crate::announce::{self, Blocks};
use crate::namespace::Namespace;
use crate::read::{self, chunk_key};
use crate::seal::KeyRing;
use crate::sql::{self, BlockRow, GarbageRow, NamespaceRow};
use crate::write::{self, limits};
use serde_json::json;
use std::future::Future;
use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::{Clock, Kv, Platform, Row, Sql, stmt};
use tmcp_protocol::storage::{StorageKey, TOMBSTONE_MS};

/// Intents older than this belong to nobody.
const INTENT_MS: i64 = 60 * 60 * 1000;
const _: () = assert!(INTENT_MS > 2 * announce::GOOD_MS, "a write may still be on its way with an id from the stock");
/// A reader that holds an old row has read its blob by then.
const GARBAGE_MS: i64 = 10 * 60 * 1000;
/// Rows of each kind in one portion.
const PORTION: i64 = 100;
/// Blocks of intents in one portion: of fifty ids at most, so that one call leaves no more garbage than five collect.
const BLOCKS: i64 = 10;

/// Rounds of each kind in one call: what one call leaves, the next takes up.
const ROUNDS: usize = 5;

/// The handler. Answers with how much of each there was, of intents how many blocks; a step that fails does not keep the others from theirs.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let platform = &call.platform;
    let (mut expired, mut purged, mut intents, mut garbage) = (0, 0, 0, 0);
    let steps = [
        ("expire", rounds(PORTION, &mut expired, || expire(platform)).await),
        ("purge", rounds(PORTION, &mut purged, || purge(platform)).await),
        ("stale_intents", rounds(BLOCKS, &mut intents, || stale_intents(platform)).await),
        ("collect", rounds(PORTION, &mut garbage, || collect(platform, PORTION, 0)).await),
    ];
    let (resealed, skipped) = reseal(platform).await?;
    let mut failed: Vec<String> = steps
        .into_iter()
        .filter_map(|(step, outcome)| outcome.err().map(|failure| format!("{step}: {}", failure.cause().unwrap_or_default())))
        .collect();
    failed.extend(skipped);
    if !failed.is_empty() {
        call.note(failed.join("; "));
    }
    Reply::json(&json!({
        "expired_namespaces": expired, "purged_namespaces": purged, "stale_intents": intents, "garbage": garbage,
        "resealed": resealed, "failed": failed.len(),
    }))
}

/// Repeats a step while it finds full portions, and adds up what it found.
async fn rounds<F>(portion: i64, total: &mut usize, step: impl Fn() -> F) -> Result<(), Failure>
where
    F: Future<Output = Result<usize, Failure>>,
{
    for _ in 0..ROUNDS {
        let found = step().await?;
        *total += found;
        if i64::try_from(found).unwrap_or(0) < portion {
            break;
        }
    }
    Ok(())
}

async fn expire<P: Platform>(platform: &P) -> Result<usize, Failure> {
    let now = platform.clock().now();
    let limits = limits(platform)?;
    let namespaces: Vec<NamespaceRow> = platform.sql().rows(stmt!(sql::EXPIRED, now, PORTION)).await?;
    for NamespaceRow { uid, app } in &namespaces {
        let (uid, app) = (uid.as_str(), app.as_str());
        let statements = vec![
            stmt!(sql::EXPIRE, uid, app, now),
            stmt!(sql::MARK_SURPLUS, uid, app, sql::MAX_TOMBSTONES),
            stmt!(sql::DROP_SURPLUS, uid, app),
            stmt!(sql::ACCOUNT, uid, app, now, 1, false, limits.bytes, limits.keys),
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
    let before = announce::begin_of(platform.clock().now().plus(-INTENT_MS));
    let rows: Vec<BlockRow> = platform.sql().rows(stmt!(sql::STALE_INTENTS, before, BLOCKS)).await?;
    let blobs: Vec<String> = rows.iter().flat_map(|row| announce::ids(&row.block, row.unused)).collect();
    if !blobs.is_empty() {
        // First the intent goes, so that a write that is still on its way fails; then, ten minutes later, the bytes.
        write::abandon(platform, &blobs).await?;
    }
    Ok(rows.len())
}

/// Removes at most `most` blobs that no reader can still hold a row of, passing over the `past` oldest. Two that collect at once may find
/// the same blobs, and then both remove them, which is once too often and no harm.
pub async fn collect<P: Platform>(platform: &P, most: i64, past: i64) -> Result<usize, Failure> {
    let before = platform.clock().now().plus(-GARBAGE_MS);
    let rows: Vec<GarbageRow> = platform.sql().rows(stmt!(sql::OLD_GARBAGE, before, most, past)).await?;
    if let (Some(first), Some(last)) = (rows.first(), rows.last()) {
        let keys = rows.iter().flat_map(|row| (0..row.chunks).map(|n| chunk_key(&row.blob, n))).collect();
        platform.kv().remove(keys).await?;
        let blobs: Vec<&str> = rows.iter().map(|row| row.blob.as_str()).collect();
        let payload = serde_json::to_string(&blobs).map_err(|error| Failure::internal(error.to_string()))?;
        let (from, to) = (first.blob.as_str(), last.blob.as_str());
        platform.sql().query(stmt!(sql::FORGET_GARBAGE, payload, first.created_at, from, last.created_at, to)).await?;
    }
    Ok(rows.len())
}

/// Seals values anew; one that cannot be opened is named and left as it is.
async fn reseal<P: Platform>(platform: &P) -> Result<(usize, Vec<String>), Failure> {
    let ring = KeyRing::of(platform)?;
    let rows = platform.sql().query(stmt!(sql::UNDER_OLD_KEY, ring.current(), PORTION)).await?;
    let (mut done, mut skipped) = (0, Vec::new());
    for row in rows {
        match reseal_one(platform, row).await {
            Ok(()) => done += 1,
            Err(failure) => skipped.push(format!("reseal: {}", failure.cause().unwrap_or_default())),
        }
    }
    Ok((done, skipped))
}

/// Seals one value anew under a new blob id; a write that comes in between wins, since the row's blob is another one then.
async fn reseal_one<P: Platform>(platform: &P, row: Row) -> Result<(), Failure> {
    let NamespaceRow { uid, app } = row.clone().decode()?;
    let entry: sql::Entry = row.read()?;
    let namespace = Namespace { uid, app };
    let Some(value) = read::open(platform, &namespace, &entry).await? else { return Ok(()) };
    let key = StorageKey::parse(entry.key.as_str())?;
    let inline = write::inline_bytes(platform)?;
    let mut blocks = Blocks::default();
    let sealed = [write::seal(platform, &namespace, &key, &value, blocks.next(platform), inline).await?];
    let [new] = &sealed;
    if !new.chunks.is_empty() {
        announce::announce_anew(platform, &namespace, &blocks, new.chunk_count()).await?;
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
        stmt!(sql::RETIRE_ONE, entry.updated_at, old, platform.clock().now()),
    ];
    platform.sql().batch(statements).await?;
    Ok(())
}
