//! PUT /api/v1/storage/{key} (TMCP part 3). Scope `storage:write`.
//!
//! | answer | when |
//! |---|---|
//! | 200 | stored |
//! | 200 `conflict_detected` | a write with a newer `client_timestamp` stands; its value is in the answer |
//! | 400 `INVALID_REQUEST` | key, ttl, timestamp or content type is wrong |
//! | 413 `PAYLOAD_TOO_LARGE` | the value is over 1 MiB |
//! | 413 `STORAGE_QUOTA_EXCEEDED` | over 10 MiB or 1000 keys; nothing was changed |

use crate::get::Metadata;
use crate::namespace::{Namespace, key_of};
use crate::read::{self, Budget};
use crate::sql::Entry;
use crate::write::{self, Change, NewValue, Outcome, Quota, Written};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::Platform;
use tmcp_protocol::storage::{self, StorageKey};
use tmcp_protocol::{ErrorCode, Millis};

/// What a write may say beside its key.
#[derive(Debug, Deserialize)]
pub struct ValueRequest {
    pub(crate) value: String,
    pub(crate) ttl: Option<i64>,
    pub(crate) metadata: Option<RequestMetadata>,
    pub(crate) client_timestamp: Option<f64>,
}

/// What is to be known about a value.
#[derive(Debug, Deserialize)]
pub struct RequestMetadata {
    content_type: Option<String>,
}

impl ValueRequest {
    /// Checks everything, and makes the change of it.
    pub fn check(self, key: StorageKey, now: Millis) -> Result<Change, Failure> {
        if self.value.len() > storage::MAX_VALUE_BYTES {
            return Err(Failure::new(ErrorCode::PayloadTooLarge, storage::Invalid::Value.to_string()));
        }
        let content_type = self.metadata.and_then(|metadata| metadata.content_type);
        content_type.as_deref().map_or(Ok(()), storage::check_content_type)?;
        Ok(Change {
            key,
            client_ts: storage::client_time(self.client_timestamp, now)?,
            value: Some(NewValue { value: self.value, expires_at: storage::expiry(self.ttl, now)?, content_type }),
        })
    }
}

/// A write that took effect, as the API shows it.
#[derive(Debug, Serialize)]
pub struct StoredBody {
    key: String,
    success: bool,
    updated_at: String,
    expires_at: Option<String>,
    metadata: Metadata,
}

impl StoredBody {
    /// Of what was written.
    pub fn of(written: Written) -> Self {
        Self {
            metadata: Metadata::new(written.size, written.content_type, written.client_ts),
            success: true,
            updated_at: written.updated_at.rfc3339(),
            expires_at: written.expires_at.map(Millis::rfc3339),
            key: written.key,
        }
    }
}

/// The protocol's conflict answer. A key that was deleted or has expired since has no value; one that an answer has no room for is
/// left out and marked.
pub async fn conflict<P: Platform>(
    platform: &P,
    namespace: &Namespace,
    entry: Entry,
    now: Millis,
    budget: &mut Budget,
) -> Result<serde_json::Value, Failure> {
    let (key, updated_at) = (entry.key.clone(), entry.updated_at.rfc3339());
    let live = entry.is_live(now);
    let omitted = live && !budget.takes(&entry);
    let server_value =
        if live && !omitted { read::values(platform, namespace, vec![entry]).await?.pop().map(|(_, value)| value) } else { None };
    let mut body = json!({
        "key": key, "success": true, "conflict_detected": true, "resolution": "server_wins",
        "server_value": server_value, "updated_at": updated_at,
    });
    if let (true, Some(body)) = (omitted, body.as_object_mut()) {
        body.insert("server_value_omitted".to_owned(), json!(true));
    }
    Ok(body)
}

/// The handler.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let (namespace, key, now) = (Namespace::of(&call)?, key_of(&call)?, call.now());
    let change = call.json::<ValueRequest>()?.check(key, now)?;
    let outcome = write::apply(&call.platform, &namespace, &[change], Quota::Enforced).await?.pop();
    match outcome {
        Some(Outcome::Applied(written)) => Reply::json(&StoredBody::of(written)),
        Some(Outcome::Conflict(entry)) => {
            Reply::json(&conflict(&call.platform, &namespace, entry, now, &mut Budget::new()).await?)
        }
        Some(Outcome::Absent) | None => Err(Failure::internal("a write without an outcome")),
    }
}
