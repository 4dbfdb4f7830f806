//! The one way of writing: seal, announce, store blobs, then one batch that moves rows, garbage, intents and usage together.
//!
//! What if it dies? Before the intent: nothing happened. Between intent and batch: the row still has its old value, and the sweep
//! removes the blob an hour after it was announced. After the batch: it is done. What if two write one key at once? The batches come
//! one after the other, and the client timestamp decides. What if it is repeated? The same value is written again.

use crate::announce::{self, Blocks};
use crate::namespace::Namespace;
use crate::read::chunk_key;
use crate::seal::{self, KeyRing};
use crate::sql::{self, Entry, Item, WrittenRow};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::collections::BTreeMap;
use tmcp_http::Failure;
use tmcp_http::settings::InvalidSetting;
use tmcp_ports::{Clock, Config, Kv, Platform, Random, Sql, SqlError, Tasks, stmt};
use tmcp_protocol::storage::{self, StorageKey};
use tmcp_protocol::{ErrorCode, Millis, json_text};

/// A value to be written.
#[derive(Debug, Clone)]
pub struct NewValue {
    /// The value.
    pub value: String,
    /// When it ends.
    pub expires_at: Option<Millis>,
    /// Its media type.
    pub content_type: Option<String>,
}

/// One change of one key: a new value, or a deletion.
#[derive(Debug, Clone)]
pub struct Change {
    /// The key.
    pub key: StorageKey,
    /// The client's timestamp, where it gave one.
    pub client_ts: Option<Millis>,
    /// The new value; none deletes.
    pub value: Option<NewValue>,
}

impl Change {
    /// Bytes of its value; 0 for a deletion.
    fn size(&self) -> i64 {
        self.value.as_ref().map_or(0, |new| i64::try_from(new.value.len()).unwrap_or(i64::MAX))
    }
}

/// A row as a change left it: what the change said, and what the write made of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The key.
    pub key: String,
    /// Bytes of the value; 0 for a deletion.
    pub size: i64,
    /// The value's media type.
    pub content_type: Option<String>,
    /// When it ends.
    pub expires_at: Option<Millis>,
    /// The winning write's client timestamp: this one's.
    pub client_ts: Millis,
    /// When it was written.
    pub updated_at: Millis,
}

impl Written {
    fn of(change: &Change, row: WrittenRow) -> Self {
        let new = change.value.as_ref();
        Self {
            key: row.key,
            size: change.size(),
            content_type: new.and_then(|new| new.content_type.clone()),
            expires_at: new.and_then(|new| new.expires_at),
            client_ts: row.client_ts,
            updated_at: row.updated_at,
        }
    }
}

/// How a change ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It took effect.
    Applied(Written),
    /// A newer write stands; the row as it is now.
    Conflict(Entry),
    /// There was nothing to delete.
    Absent,
}

/// Whether a batch has to stay within the quota. Deletions never fail for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quota {
    /// Over it, nothing of the batch takes effect.
    Enforced,
    /// It is counted only.
    Counted,
}

/// Values of up to so many bytes lie in their row, unless configured otherwise.
const INLINE_BYTES: i64 = 1024;

/// The quota in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of values.
    pub bytes: i64,
    /// Keys.
    pub keys: i64,
}

fn setting(platform: &impl Platform, name: &'static str, default: i64, max: i64) -> Result<i64, InvalidSetting> {
    let Some(value) = platform.config().get(name) else { return Ok(default) };
    let parsed = value.expose().parse().ok().filter(|n| (0..=max).contains(n));
    parsed.ok_or_else(|| InvalidSetting { name, problem: format!("must be a whole number up to {max}") })
}

/// The quota in force.
pub fn limits(platform: &impl Platform) -> Result<Limits, InvalidSetting> {
    Ok(Limits {
        bytes: setting(platform, "QUOTA_BYTES", storage::QUOTA_BYTES, 1 << 40)?,
        keys: setting(platform, "QUOTA_KEYS", storage::QUOTA_KEYS, 1_000_000)?,
    })
}

/// A sealed value on its way: what the row needs, and the chunks for KV.
pub struct Sealed {
    /// The new blob's id.
    pub blob: String,
    /// The master key's id.
    pub key_id: String,
    /// The bytes in base64, when they are few.
    pub body: Option<String>,
    /// The chunks for KV otherwise.
    pub chunks: Vec<Vec<u8>>,
}

impl Sealed {
    /// How many chunks lie in KV.
    pub fn chunk_count(&self) -> i64 {
        i64::try_from(self.chunks.len()).unwrap_or(i64::MAX)
    }
}

/// Values of up to so many bytes lie in their row.
pub fn inline_bytes(platform: &impl Platform) -> Result<i64, InvalidSetting> {
    setting(platform, "INLINE_BYTES", INLINE_BYTES, 8_192)
}

/// How many chunks a value takes up in KV; 0 where it lies in its row.
fn chunks_of(value: &str, inline: i64) -> usize {
    let small = i64::try_from(value.len()).is_ok_and(|len| len <= inline);
    if small { 0 } else { (value.len() + seal::OVERHEAD).div_ceil(tmcp_ports::kv::MAX_BYTES) }
}

/// Seals a value under a blob id that no other value has.
pub async fn seal(
    platform: &impl Platform,
    namespace: &Namespace,
    key: &StorageKey,
    value: &str,
    blob: String,
    inline: i64,
) -> Result<Sealed, Failure> {
    let ring = KeyRing::of(platform)?;
    let sealed = ring.seal(platform, namespace, key, &blob, value).await;
    let bytes = sealed.map_err(|error| Failure::internal(error.to_string()))?;
    let key_id = ring.current().to_owned();
    Ok(if chunks_of(value, inline) == 0 {
        Sealed { blob, key_id, body: Some(STANDARD.encode(bytes)), chunks: Vec::new() }
    } else {
        let chunks = bytes.chunks(tmcp_ports::kv::MAX_BYTES).map(<[u8]>::to_vec).collect();
        Sealed { blob, key_id, body: None, chunks }
    })
}

/// Stores the chunks of announced blobs.
pub async fn store_chunks(platform: &impl Platform, sealed: &[Sealed]) -> Result<(), Failure> {
    for sealed in sealed {
        for (n, chunk) in (0..).zip(&sealed.chunks) {
            platform.kv().put(&chunk_key(&sealed.blob, n), chunk.clone()).await?;
        }
    }
    Ok(())
}

fn json(value: &impl serde::Serialize) -> Result<String, Failure> {
    serde_json::to_string(value).map_err(|error| Failure::internal(error.to_string()))
}

/// Items as the statements take them. The bytes, which are most of it, are copied as a whole.
fn payload(items: &[Item]) -> Result<String, Failure> {
    let mut text = vec![b'['];
    for item in items {
        if text.len() > 1 {
            text.push(b',');
        }
        serde_json::to_writer(&mut text, item).map_err(|error| Failure::internal(error.to_string()))?;
        let whole = match (&item.body, &item.blob, item.chunks) {
            (Some(body), ..) => json_text::push_member(&mut text, "body", body),
            (None, blob, chunks) => blob.is_none() || chunks > 0,
        };
        if !whole {
            return Err(Failure::internal("a value without its bytes"));
        }
    }
    text.push(b']');
    String::from_utf8(text).map_err(|error| Failure::internal(error.to_string()))
}

fn over_quota(usage: sql::UsageRow, limits: Limits) -> Failure {
    Failure::new(ErrorCode::StorageQuotaExceeded, "the write would exceed the storage quota of this user and app").details(
        serde_json::json!({
            "current_usage_bytes": usage.bytes, "quota_bytes": limits.bytes,
            "current_keys": usage.keys, "quota_keys": limits.keys,
        }),
    )
}

/// Whether a failure is that of the quota.
pub fn is_over_quota(failure: &Failure) -> bool {
    failure.code() == ErrorCode::StorageQuotaExceeded
}

/// Ids for all large values, where the isolate has as many that are announced already; none otherwise.
fn announced(platform: &impl Platform, namespace: &Namespace, changes: &[Change], inline: i64) -> Vec<String> {
    let (mut count, mut bytes) = (0, 0_i64);
    for new in changes.iter().filter_map(|change| change.value.as_ref()) {
        bytes = bytes.saturating_add(i64::try_from(new.value.len()).unwrap_or(i64::MAX));
        match chunks_of(&new.value, inline) {
            0 => {}
            1 => count += 1,
            _ => return Vec::new(),
        }
    }
    let ids = if count == 0 { None } else { announce::in_stock(platform, namespace, count, bytes) };
    ids.unwrap_or_default()
}

/// Applies changes of distinct keys, all or nothing, and tells how each ended, in order.
pub async fn apply<P: Platform>(
    platform: &P,
    namespace: &Namespace,
    changes: &[Change],
    quota: Quota,
) -> Result<Vec<Outcome>, Failure> {
    let now = platform.clock().now();
    let (limits, inline) = (limits(platform)?, inline_bytes(platform)?);
    let (uid, app) = (namespace.uid.as_str(), namespace.app.as_str());
    let mut ready = announced(platform, namespace, changes, inline);
    let (is_ready, mut blocks) = (!ready.is_empty(), Blocks::default());
    let mut items = Vec::with_capacity(changes.len());
    let mut large = Vec::new();
    for change in changes {
        let sealed = match &change.value {
            Some(new) => {
                let blob = match chunks_of(&new.value, inline) {
                    0 => announce::fresh_id(platform),
                    _ => ready.pop().unwrap_or_else(|| blocks.next(platform)),
                };
                Some(seal(platform, namespace, &change.key, &new.value, blob, inline).await?)
            }
            None => None,
        };
        items.push(Item {
            key: change.key.as_str().to_owned(),
            client_ts: change.client_ts,
            size: change.size(),
            blob: sealed.as_ref().map(|s| s.blob.clone()),
            chunks: sealed.as_ref().map_or(0, Sealed::chunk_count),
            key_id: sealed.as_ref().map(|s| s.key_id.clone()),
            body: sealed.as_ref().and_then(|s| s.body.clone()),
            content_type: change.value.as_ref().and_then(|new| new.content_type.clone()),
            expires_at: change.value.as_ref().and_then(|new| new.expires_at),
        });
        large.extend(sealed.filter(|s| !s.chunks.is_empty()));
    }
    let count = i64::try_from(items.len()).unwrap_or(i64::MAX);
    let payload = payload(&items)?;
    if !large.is_empty() {
        if !is_ready && !announce::announce(platform, namespace, blocks, &items, limits.bytes).await? {
            return Err(over_quota(usage(platform, namespace).await?, limits));
        }
        store_chunks(platform, &large).await?;
        collect_later(platform, items.len());
    }
    let mut statements = vec![stmt!(sql::WRITE, uid, app, now, payload.as_str())];
    // Tombstones beyond the most recent ones go once in 128 deletions or so, whoever's turn it is.
    let deletions = changes.iter().filter(|change| change.value.is_none()).count();
    if deletions > 0 && drawn(platform, deletions * 2) {
        statements.push(stmt!(sql::MARK_SURPLUS, uid, app, sql::MAX_TOMBSTONES));
        statements.push(stmt!(sql::DROP_SURPLUS, uid, app));
    }
    statements.push(stmt!(sql::ACCOUNT, uid, app, now, count, quota == Quota::Enforced, limits.bytes, limits.keys));
    let results = match platform.sql().batch(statements).await {
        Ok(results) => results,
        Err(error) => {
            abandon_later(platform, &large);
            return Err(match error {
                SqlError::Constraint(name) if name == "quota_bytes" || name == "quota_keys" => {
                    announce::forget_room(platform, namespace);
                    over_quota(usage(platform, namespace).await?, limits)
                }
                other => other.into(),
            });
        }
    };
    let rows = results.into_iter().next().unwrap_or_default().into_iter();
    let applied =
        rows.map(|row| row.read().map(|row: WrittenRow| (row.key.clone(), row))).collect::<Result<BTreeMap<_, _>, _>>()?;
    // What was not written lost against a newer write, or was not there to be deleted.
    let others = match applied.len() < changes.len() {
        true => {
            let rows = platform.sql().query(stmt!(sql::OUTCOME, uid, app, payload.as_str())).await?;
            sql::entries(rows)?.into_iter().map(|entry| (entry.key.clone(), entry)).collect()
        }
        false => BTreeMap::new(),
    };
    outcomes(changes, applied, others)
}

fn outcomes(
    changes: &[Change],
    mut applied: BTreeMap<String, WrittenRow>,
    mut others: BTreeMap<String, Entry>,
) -> Result<Vec<Outcome>, Failure> {
    let outcome = |change: &Change| {
        let key = change.key.as_str();
        match (applied.remove(key), others.remove(key)) {
            (Some(row), _) => Ok(Outcome::Applied(Written::of(change, row))),
            (None, Some(entry)) if change.client_ts.is_some() => Ok(Outcome::Conflict(entry)),
            _ if change.value.is_none() => Ok(Outcome::Absent),
            // Without a timestamp a write always wins: only a swept intent, an hour after it was announced, can be in the way.
            _ => Err(Failure::unavailable("the write took so long that its blob was swept")),
        }
    };
    changes.iter().map(outcome).collect()
}

/// True so many times out of 256.
fn drawn(platform: &impl Platform, times: usize) -> bool {
    let [draw] = platform.random().bytes();
    usize::from(draw) < times
}

/// Marks blobs as garbage after the response, rather than leaving them to the sweep for an hour.
fn abandon_later<P: Platform>(platform: &P, sealed: &[Sealed]) {
    let blobs: Vec<String> = sealed.iter().map(|sealed| sealed.blob.clone()).collect();
    if blobs.is_empty() {
        return;
    }
    let later = platform.clone();
    platform.tasks().after(async move {
        // The sweep does it where this fails.
        let _ = abandon(&later, &blobs).await;
    });
}

/// After so many single writes of 256 garbage is collected, and then so much: a sixteenth more than they can leave. Looking and forgetting
/// cost as much as the write's own statements, however much is found, and a removal from KV as much as what it was put there for.
const COLLECTING: usize = 16;
const COLLECTED: i64 = 17;
/// The old garbage is taken as so many portions, of which a write collects any: many at once would else all find the same. So some
/// portions stay, for the next and for maintenance.
const PORTIONS: u8 = 8;

/// Removes old garbage after the response, so that the sweep grows with what there is to sweep.
fn collect_later<P: Platform>(platform: &P, items: usize) {
    let most = match items {
        1 if !drawn(platform, COLLECTING) => return,
        1 => COLLECTED,
        _ => i64::try_from(items).unwrap_or(1).saturating_mul(2),
    };
    let [portion] = platform.random().bytes();
    let past = i64::from(portion % PORTIONS) * most;
    let later = platform.clone();
    platform.tasks().after(async move {
        // Maintenance does it where this fails.
        let _ = crate::maintain::collect(&later, most, past).await;
    });
}

/// Turns intents into garbage.
pub async fn abandon(platform: &impl Platform, blobs: &[String]) -> Result<(), Failure> {
    let (now, payload) = (platform.clock().now(), json(&blobs)?);
    let payload = payload.as_str();
    let statements =
        vec![stmt!(sql::ABANDON, now, payload), stmt!(sql::FORGET_INTENTS, payload), stmt!(sql::FORGET_BLOCKS, payload)];
    platform.sql().batch(statements).await?;
    Ok(())
}

/// Usage now; none where nothing was ever written.
pub async fn usage(platform: &impl Platform, namespace: &Namespace) -> Result<sql::UsageRow, Failure> {
    let now = platform.clock().now();
    let row = platform.sql().first(stmt!(sql::USAGE, namespace.uid.as_str(), namespace.app.as_str(), now)).await?;
    Ok(row.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::{Item, payload};
    use serde_json::{Value, json};

    fn item(blob: Option<&str>, chunks: i64, body: Option<&str>) -> Item {
        let [blob, body] = [blob, body].map(|text| text.map(str::to_owned));
        Item {
            key: "a \"key\"".to_owned(),
            client_ts: None,
            size: 3,
            blob,
            chunks,
            key_id: None,
            body,
            content_type: None,
            expires_at: None,
        }
    }

    #[test]
    fn every_item_comes_with_its_bytes_or_not_at_all() {
        let read = |items: &[Item]| payload(items).map(|text| serde_json::from_str::<Value>(&text).unwrap());
        let (inline, large, gone) = (item(Some("b"), 0, Some("AA==")), item(Some("b"), 2, None), item(None, 0, None));
        let like = |blob: Value, chunks: i64| {
            json!({
                "key": "a \"key\"", "client_ts": null, "size": 3, "blob": blob, "chunks": chunks, "key_id": null,
                "content_type": null, "expires_at": null,
            })
        };
        let mut first = like(json!("b"), 0);
        first["body"] = json!("AA==");
        assert_eq!(read(&[]).unwrap(), json!([]));
        assert_eq!(read(std::slice::from_ref(&inline)).unwrap(), json!([first]));
        assert_eq!(read(&[inline, large, gone]).unwrap(), json!([first, like(json!("b"), 2), like(Value::Null, 0)]));
        assert!(read(&[item(Some("b"), 0, None)]).is_err());
    }
}
