//! POST /api/v1/storage/batch/{get,set,delete} (TMCP part 3; part 12, rows 55 and 56). At most 100 items and 4 MiB.
//!
//! | answer | when |
//! |---|---|
//! | 200 | get: what is there, which keys are missing, and which are `deferred` since 4 MiB were full; set, delete: one result per item |
//! | 400 `INVALID_REQUEST` | no item, too many, one key twice, or an item that is wrong |
//! | 413 `STORAGE_QUOTA_EXCEEDED` | set: over the quota; nothing was changed |

use crate::get::ValueBody;
use crate::namespace::Namespace;
use crate::put::{RequestMetadata, StoredBody, ValueRequest, conflict};
use crate::read::{self, Budget};
use crate::sql::{self, Entry};
use crate::write::{self, Change, Outcome, Quota};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::{Platform, Sql, stmt};
use tmcp_protocol::Millis;
use tmcp_protocol::storage::{MAX_BATCH_ITEMS, StorageKey};

/// Keys of a batch.
#[derive(Debug, Deserialize)]
pub struct Keys {
    keys: Vec<StorageKey>,
}

/// Items of a batch.
#[derive(Debug, Deserialize)]
pub struct Items {
    items: Vec<KeyedRequest>,
}

/// One item of a batch set. Its members are spelt out, since a flattened struct would hide which one is wrong.
#[derive(Debug, Deserialize)]
pub struct KeyedRequest {
    key: StorageKey,
    value: String,
    ttl: Option<i64>,
    metadata: Option<RequestMetadata>,
    client_timestamp: Option<f64>,
}

impl KeyedRequest {
    fn check(self, now: Millis) -> Result<Change, Failure> {
        let Self { key, value, ttl, metadata, client_timestamp } = self;
        ValueRequest { value, ttl, metadata, client_timestamp }.check(key, now)
    }
}

fn check_keys<'a>(keys: impl ExactSizeIterator<Item = &'a StorageKey>) -> Result<(), Failure> {
    let count = keys.len();
    if !(1..=MAX_BATCH_ITEMS).contains(&count) {
        return Err(Failure::invalid(format!("a batch has 1 to {MAX_BATCH_ITEMS} items")));
    }
    let distinct: BTreeSet<&str> = keys.map(StorageKey::as_str).collect();
    if distinct.len() == count { Ok(()) } else { Err(Failure::invalid("a key appears twice in the batch")) }
}

/// POST /api/v1/storage/batch/get
pub async fn get<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let namespace = Namespace::of(&call)?;
    let Keys { keys } = call.json()?;
    check_keys(keys.iter())?;
    let payload = serde_json::to_string(&keys).map_err(|error| Failure::internal(error.to_string()))?;
    let (uid, app) = (namespace.uid.as_str(), namespace.app.as_str());
    let entries = sql::entries(call.platform.sql().query(stmt!(sql::FIND, uid, app, call.now(), payload)).await?)?;
    let mut budget = Budget::new();
    let (now_read, deferred): (Vec<Entry>, Vec<Entry>) = entries.into_iter().partition(|entry| budget.takes(entry));
    let deferred: BTreeSet<String> = deferred.into_iter().map(|entry| entry.key).collect();
    let found = read::values(&call.platform, &namespace, now_read).await?;
    let mut items = Map::new();
    for (entry, value) in found {
        let key = entry.key.clone();
        let body = serde_json::to_value(ValueBody::of(entry, value)).map_err(|error| Failure::internal(error.to_string()))?;
        items.insert(key, body);
    }
    let is_missing = |key: &&StorageKey| !items.contains_key(key.as_str()) && !deferred.contains(key.as_str());
    let missing: Vec<&StorageKey> = keys.iter().filter(is_missing).collect();
    Reply::json(&json!({"items": items, "missing": missing, "deferred": deferred}))
}

/// POST /api/v1/storage/batch/set
pub async fn set<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let (namespace, now) = (Namespace::of(&call)?, call.now());
    let Items { items } = call.json()?;
    let changes: Vec<Change> = items.into_iter().map(|item| item.check(now)).collect::<Result<_, _>>()?;
    check_keys(changes.iter().map(|change| &change.key).collect::<Vec<_>>().into_iter())?;
    let outcomes = write::apply(&call.platform, &namespace, &changes, Quota::Enforced).await?;
    let mut results = Vec::with_capacity(outcomes.len());
    let mut budget = Budget::new();
    for outcome in outcomes {
        results.push(match outcome {
            Outcome::Applied(written) => to_json(&StoredBody::of(written))?,
            Outcome::Conflict(entry) => conflict(&call.platform, &namespace, entry, now, &mut budget).await?,
            Outcome::Absent => return Err(Failure::internal("a write without an outcome")),
        });
    }
    Reply::json(&json!({"success": true, "results": results}))
}

/// POST /api/v1/storage/batch/delete
pub async fn delete<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let namespace = Namespace::of(&call)?;
    let Keys { keys } = call.json()?;
    check_keys(keys.iter())?;
    let changes: Vec<Change> = keys.iter().map(|key| Change { key: key.clone(), client_ts: None, value: None }).collect();
    let outcomes = write::apply(&call.platform, &namespace, &changes, Quota::Counted).await?;
    let results: Vec<Value> = keys
        .iter()
        .zip(outcomes)
        .map(|(key, outcome)| json!({"key": key, "success": true, "deleted": matches!(outcome, Outcome::Applied(_))}))
        .collect();
    Reply::json(&json!({"success": true, "results": results}))
}

pub(crate) fn to_json(body: &impl serde::Serialize) -> Result<Value, Failure> {
    serde_json::to_value(body).map_err(|error| Failure::internal(error.to_string()))
}
