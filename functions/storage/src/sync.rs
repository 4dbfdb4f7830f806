//! POST /api/v1/storage/sync: a client that was offline sends its queue, and learns what changed meanwhile. Scope `storage:write`.
//!
//! Request: `operations[]{op: "set"|"delete", key, value?, ttl?, metadata?, client_timestamp!}`, `cursor?`, `limit?`. Each operation
//! is decided by its own `client_timestamp`, in order; one that is over the quota fails alone. The answer: `results[]` in the same
//! order, `changes[]` behind the cursor (own writes included), the new `cursor`, `has_more`, and `reset: true` where the client has
//! to drop what it has, since the cursor is older than what the server remembers of deletions (thirty days).
//!
//! What if it is repeated? Writes at equal timestamps are written again, unless somebody else's newer one has come meanwhile.

use crate::batch::to_json;
use crate::get::ValueBody;
use crate::list::limit_of;
use crate::namespace::Namespace;
use crate::put::{RequestMetadata, StoredBody, ValueRequest, conflict};
use crate::read::{self, Budget};
use crate::sql::{self, Entry, SequenceRow};
use crate::write::{self, Change, Outcome, Quota};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::{Platform, Row, Sql, stmt};
use tmcp_protocol::Millis;
use tmcp_protocol::storage::{self, MAX_BATCH_ITEMS, StorageKey};

/// Changes in one answer at most: each may take reads from KV, and one request has a thousand.
const PAGE: i64 = 200;

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
    /// Everything before this place was seen.
    seq: i64,
    /// Of this place the keys up to this one; all of them without one.
    key: Option<String>,
    /// Where the sequence stood when this walk began: tombstones that were dropped before cannot be missed by it.
    began: i64,
}

impl Cursor {
    const START: Self = Self { seq: 0, key: None, began: 0 };

    fn encode(&self) -> String {
        let key = self.key.as_ref().map(|key| format!(".{key}")).unwrap_or_default();
        URL_SAFE_NO_PAD.encode(format!("{}.{}{key}", self.seq, self.began))
    }

    fn decode(text: &str) -> Option<Self> {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        let mut parts = text.splitn(3, '.');
        let mut number = || parts.next()?.parse().ok().filter(|n| (0..=tmcp_ports::sql::MAX_INTEGER).contains(n));
        let (seq, began) = (number()?, number()?);
        Some(Self { seq, began, key: parts.next().map(str::to_owned) })
    }

    /// Whether nothing that this walk has not seen is forgotten.
    fn is_known(&self, place: SequenceRow) -> bool {
        self.seq.max(self.began) >= place.purged_seq && self.seq <= place.seq
    }
}

/// The handler.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let (namespace, now) = (Namespace::of(&call)?, call.now());
    let request: SyncRequest = call.json()?;
    let limit = limit_of(request.limit.map(|limit| limit.to_string()).as_deref(), PAGE, PAGE)?;
    if request.operations.len() > MAX_BATCH_ITEMS {
        return Err(Failure::invalid(format!("a sync has at most {MAX_BATCH_ITEMS} operations")));
    }
    let cursor = match &request.cursor {
        Some(text) => Some(Cursor::decode(text).ok_or_else(|| Failure::invalid("cursor is not one of an earlier sync"))?),
        None => None,
    };
    let changes: Vec<Change> =
        request.operations.into_iter().enumerate().map(|(n, op)| op.check(n, now)).collect::<Result<_, _>>()?;
    let mut results = Vec::with_capacity(changes.len());
    let mut budget = Budget::new();
    for run in distinct_runs(&changes) {
        for (change, outcome) in run.iter().zip(apply_run(&call.platform, &namespace, run).await?) {
            results.push(result(&call.platform, &namespace, change, outcome, now, &mut budget).await?);
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
    budget: &mut Budget,
) -> Result<Value, Failure> {
    match outcome {
        Ok(Outcome::Applied(written)) if change.value.is_some() => to_json(&StoredBody::of(written)),
        Ok(Outcome::Applied(_)) => Ok(json!({"key": change.key, "success": true, "deleted": true})),
        Ok(Outcome::Absent) => Ok(json!({"key": change.key, "success": true, "deleted": false})),
        Ok(Outcome::Conflict(entry)) => conflict(platform, namespace, entry, now, budget).await,
        Err(failure) => Ok(json!({"key": change.key, "success": false, "error": {"code": failure.code().as_str()}})),
    }
}

struct Page {
    changes: Vec<Value>,
    cursor: Cursor,
    has_more: bool,
    reset: bool,
}

/// Where the sequence stands and what changed behind a cursor, read at once: a purge in between would hide deletions.
async fn look<P: Platform>(
    platform: &P,
    namespace: &Namespace,
    from: &Cursor,
    limit: i64,
) -> Result<(Option<SequenceRow>, Vec<Entry>), Failure> {
    let (uid, app) = (namespace.uid.as_str(), namespace.app.as_str());
    let changes = stmt!(sql::CHANGES, uid, app, from.seq, from.key.as_deref(), limit + 1);
    let mut results = platform.sql().batch(vec![stmt!(sql::SEQUENCE, uid, app), changes]).await?;
    let entries = sql::entries(results.pop().unwrap_or_default())?;
    let place = results.pop().and_then(|rows| rows.into_iter().next()).map(Row::decode).transpose()?;
    Ok((place, entries))
}

async fn changes_since<P: Platform>(
    platform: &P,
    namespace: &Namespace,
    cursor: Option<Cursor>,
    limit: i64,
    now: Millis,
) -> Result<Page, Failure> {
    let mut from = cursor.clone().unwrap_or(Cursor::START);
    let (mut place, mut entries) = look(platform, namespace, &from, limit).await?;
    let mut reset = cursor.is_none();
    if place.is_none_or(|place| !from.is_known(place)) && !reset {
        (from, reset) = (Cursor::START, true);
        (place, entries) = look(platform, namespace, &from, limit).await?;
    }
    let Some(place) = place else {
        // Nothing was ever written here, or everything was erased.
        let reset = cursor.is_some_and(|cursor| cursor.seq > 0);
        return Ok(Page { changes: Vec::new(), cursor: Cursor::START, has_more: false, reset });
    };
    let began = if reset { place.seq } else { from.began };
    let most = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut budget = Budget::new();
    let page = entries.iter().take(most).take_while(|entry| budget.takes(entry)).count();
    let has_more = entries.len() > page;
    entries.truncate(page);
    let cursor = match entries.last() {
        Some(entry) if has_more => Cursor { seq: entry.seq, key: Some(entry.key.clone()), began },
        _ => Cursor { seq: place.seq, key: None, began: place.seq },
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
        for key in [Some("a.b".to_owned()), None, Some(String::new())] {
            let cursor = Cursor { seq: 12, key, began: 15 };
            assert_eq!(Cursor::decode(&cursor.encode()), Some(cursor));
        }
        for bad in ["", "!", "MTI", &URL_SAFE_NO_PAD.encode("-1.2.k"), &URL_SAFE_NO_PAD.encode("x.1.k")] {
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
