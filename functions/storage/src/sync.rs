//! POST /api/v1/storage/sync: a client that was offline sends its queue, and learns what changed meanwhile. Scope `storage:write`.
//!
//! Request: `operations[]{op: "set"|"delete", key, value?, ttl?, metadata?, client_timestamp!}`, `cursor?`, `limit?`. Each operation
//! is decided by its own `client_timestamp`, in order; one that is over the quota fails alone. The answer: `results[]` in the same
//! order, `changes[]` behind the cursor (own writes included), the new `cursor`, `has_more`, and `reset: true` where the client has
//! to drop what it has, since the cursor is older than what the server remembers of deletions (thirty days).
//!
//! What if it is repeated? Writes at equal timestamps are the same writes: the outcome is the same, the sequence moves on.

use crate::batch::to_json;
use crate::get::ValueBody;
use crate::list::limit_of;
use crate::namespace::Namespace;
use crate::put::{RequestMetadata, StoredBody, ValueRequest, conflict};
use crate::read;
use crate::sql::{self, Entry, SequenceRow};
use crate::write::{self, Change, Outcome, Quota};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::{Platform, Sql, stmt};
use tmcp_protocol::Millis;
use tmcp_protocol::storage::{self, MAX_BATCH_ITEMS, StorageKey};

const PAGE: i64 = 200;
const MAX_PAGE: i64 = 1000;
/// Bytes of values in one page of changes; the rest comes with the next.
const PAGE_BYTES: i64 = 4 * 1_048_576;

#[derive(Deserialize)]
struct SyncRequest {
    #[serde(default)]
    operations: Vec<Operation>,
    cursor: Option<String>,
    limit: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Op {
    Set,
    Delete,
}

#[derive(Deserialize)]
struct Operation {
    op: Op,
    key: StorageKey,
    value: Option<String>,
    ttl: Option<i64>,
    metadata: Option<RequestMetadata>,
    client_timestamp: Option<f64>,
}

impl Operation {
    fn check(self, n: usize, now: Millis) -> Result<Change, Failure> {
        let Self { op, key, value, ttl, metadata, client_timestamp } = self;
        let missing = |name: &str| {
            Failure::invalid(format!("`operations[{n}].{name}` is missing"))
                .details(json!({"field": format!("operations[{n}].{name}")}))
        };
        let client_timestamp = Some(client_timestamp.ok_or_else(|| missing("client_timestamp"))?);
        match (op, value) {
            (Op::Set, Some(value)) => ValueRequest { value, ttl, metadata, client_timestamp }.check(key, now),
            (Op::Set, None) => Err(missing("value")),
            (Op::Delete, _) => Ok(Change { key, client_ts: storage::client_time(client_timestamp, now)?, value: None }),
        }
    }
}

/// A place in the namespace's sequence, opaque to clients.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Cursor {
    seq: i64,
    key: String,
}

impl Cursor {
    fn encode(&self) -> String {
        URL_SAFE_NO_PAD.encode(format!("{}.{}", self.seq, self.key))
    }

    fn decode(text: &str) -> Option<Self> {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        let (seq, key) = text.split_once('.')?;
        Some(Self { seq: seq.parse().ok().filter(|seq| (0..=tmcp_ports::sql::MAX_INTEGER).contains(seq))?, key: key.to_owned() })
    }
}

/// The handler.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let (namespace, now) = (Namespace::of(&call)?, call.now());
    let request: SyncRequest = call.json()?;
    let limit = limit_of(request.limit.map(|limit| limit.to_string()).as_deref(), PAGE, MAX_PAGE)?;
    if request.operations.len() > MAX_BATCH_ITEMS {
        return Err(Failure::invalid(format!("a sync has at most {MAX_BATCH_ITEMS} operations")));
    }
    let cursor = match &request.cursor {
        Some(text) => Some(Cursor::decode(text).ok_or_else(|| Failure::invalid("cursor is not one of an earlier sync"))?),
        None => None,
    };
    let changes: Vec<Change> = request.operations.into_iter().enumerate().map(|(n, op)| op.check(n, now)).collect::<Result<_, _>>()?;
    let mut results = Vec::with_capacity(changes.len());
    for run in distinct_runs(&changes) {
        for (change, outcome) in run.iter().zip(apply_run(&call.platform, &namespace, run).await?) {
            results.push(result(&call.platform, &namespace, change, outcome, now).await?);
        }
    }
    let page = changes_since(&call.platform, &namespace, cursor, limit, now).await?;
    Reply::json(&json!({
        "results": results, "changes": page.changes, "cursor": page.cursor.encode(), "has_more": page.has_more, "reset": page.reset,
    }))
}

/// Cuts a queue where a key comes again, since a batch writes each key once.
fn distinct_runs(changes: &[Change]) -> Vec<&[Change]> {
    let mut runs = Vec::new();
    let mut rest = changes;
    while !rest.is_empty() {
        let mut seen = BTreeSet::new();
        let len = rest.iter().take_while(|change| seen.insert(change.key.as_str())).count();
        let (run, tail) = rest.split_at(len);
        runs.push(run);
        rest = tail;
    }
    runs
}

/// One batch for the whole run; where that is over the quota, one by one, so that only what is too much fails.
async fn apply_run<P: Platform>(
    platform: &P,
    namespace: &Namespace,
    run: &[Change],
) -> Result<Vec<Result<Outcome, Failure>>, Failure> {
    match write::apply(platform, namespace, run, Quota::Enforced).await {
        Ok(outcomes) => return Ok(outcomes.into_iter().map(Ok).collect()),
        Err(failure) if write::is_over_quota(&failure) => {}
        Err(failure) => return Err(failure),
    }
    let mut outcomes = Vec::with_capacity(run.len());
    for change in run {
        let quota = if change.value.is_some() { Quota::Enforced } else { Quota::Counted };
        match write::apply(platform, namespace, std::slice::from_ref(change), quota).await {
            Ok(mut outcome) => outcomes.extend(outcome.pop().map(Ok)),
            Err(failure) if write::is_over_quota(&failure) => outcomes.push(Err(failure)),
            Err(failure) => return Err(failure),
        }
    }
    Ok(outcomes)
}

async fn result<P: Platform>(
    platform: &P,
    namespace: &Namespace,
    change: &Change,
    outcome: Result<Outcome, Failure>,
    now: Millis,
) -> Result<Value, Failure> {
    match outcome {
        Ok(Outcome::Applied(entry)) if change.value.is_some() => to_json(&StoredBody::of(entry)),
        Ok(Outcome::Applied(_)) => Ok(json!({"key": change.key, "success": true, "deleted": true})),
        Ok(Outcome::Absent) => Ok(json!({"key": change.key, "success": true, "deleted": false})),
        Ok(Outcome::Conflict(entry)) => conflict(platform, namespace, entry, now).await,
        Err(failure) => Ok(json!({"key": change.key, "success": false, "error": {"code": failure.code().as_str()}})),
    }
}

struct Page {
    changes: Vec<Value>,
    cursor: Cursor,
    has_more: bool,
    reset: bool,
}

async fn changes_since<P: Platform>(
    platform: &P,
    namespace: &Namespace,
    cursor: Option<Cursor>,
    limit: i64,
    now: Millis,
) -> Result<Page, Failure> {
    let (uid, app) = (namespace.uid.as_str(), namespace.app.as_str());
    let place: Option<SequenceRow> = platform.sql().first(stmt!(sql::SEQUENCE, uid, app)).await?;
    let Some(place) = place else {
        // Nothing was ever written here, or everything was erased.
        let reset = cursor.is_some_and(|cursor| cursor.seq > 0);
        return Ok(Page { changes: Vec::new(), cursor: Cursor { seq: 0, key: String::new() }, has_more: false, reset });
    };
    let known = cursor.filter(|cursor| cursor.seq >= place.purged_seq && cursor.seq <= place.seq);
    let reset = known.is_none();
    let from = known.unwrap_or(Cursor { seq: 0, key: String::new() });
    let statement = stmt!(sql::CHANGES, uid, app, from.seq, from.key.as_str(), limit + 1);
    let mut entries: Vec<Entry> = platform.sql().rows(statement).await?;
    let mut page = usize::try_from(limit).unwrap_or(usize::MAX).min(entries.len());
    let mut bytes = 0;
    for (n, entry) in entries.iter().enumerate().take(page).skip(1) {
        bytes += entry.size;
        if bytes > PAGE_BYTES {
            page = n;
            break;
        }
    }
    let has_more = entries.len() > page;
    entries.truncate(page);
    let cursor = match entries.last() {
        Some(entry) if has_more => Cursor { seq: entry.seq, key: entry.key.clone() },
        // All keys of this place in the sequence were seen.
        _ => Cursor { seq: place.seq.max(from.seq), key: "\u{10FFFF}".to_owned() },
    };
    let mut changes = Vec::with_capacity(entries.len());
    for entry in entries {
        let (key, updated_at) = (entry.key.clone(), entry.updated_at.rfc3339());
        let value = if entry.is_live(now) { read::values(platform, namespace, vec![entry]).await?.pop() } else { None };
        match value {
            Some((entry, value)) => changes.push(to_json(&ValueBody::of(entry, value))?),
            // A client that starts again has nothing that it would have to delete.
            None if reset => {}
            None => changes.push(json!({"key": key, "deleted": true, "updated_at": updated_at})),
        }
    }
    Ok(Page { changes, cursor, has_more, reset })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_are_opaque_and_checked() {
        let cursor = Cursor { seq: 12, key: "a.b".into() };
        assert_eq!(Cursor::decode(&cursor.encode()), Some(cursor));
        for bad in ["", "!", "MTI", &URL_SAFE_NO_PAD.encode("-1.k"), &URL_SAFE_NO_PAD.encode("x.k")] {
            assert_eq!(Cursor::decode(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_queue_is_cut_where_a_key_comes_again() {
        let change = |key: &str| Change { key: StorageKey::parse(key).unwrap(), client_ts: None, value: None };
        let queue: Vec<Change> = ["a", "b", "a", "a", "c"].map(change).to_vec();
        let runs: Vec<usize> = distinct_runs(&queue).into_iter().map(<[Change]>::len).collect();
        assert_eq!(runs, [2, 1, 2]);
    }
}
