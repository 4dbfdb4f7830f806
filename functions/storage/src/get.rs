//! GET /api/v1/storage/{key} (TMCP part 3). Scope `storage:read`.
//!
//! | answer | when |
//! |---|---|
//! | 200 | the value |
//! | 400 `INVALID_REQUEST` | the key is not one |
//! | 404 `KEY_NOT_FOUND` | nothing is stored, or it has expired |
//! | 503 `SERVICE_UNAVAILABLE` | the bytes are not to be had at the moment |

use crate::namespace::{Namespace, key_of};
use crate::read;
use crate::sql::Entry;
use serde::Serialize;
use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::Platform;
use tmcp_protocol::ErrorCode;
use tmcp_protocol::Millis;

/// A value as the API shows it.
#[derive(Debug, Serialize)]
pub struct ValueBody {
    key: String,
    /// None where the text is added to the answer by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    created_at: String,
    updated_at: String,
    expires_at: Option<String>,
    metadata: Metadata,
}

/// What is known about a value.
#[derive(Debug, Serialize)]
pub struct Metadata {
    size_bytes: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<String>,
    /// Seconds; what an offline client compares its own writes with.
    client_timestamp: f64,
}

impl Metadata {
    /// Of a value's size, type and winning timestamp.
    pub fn new(size_bytes: i64, content_type: Option<String>, client_ts: Millis) -> Self {
        #[allow(clippy::cast_precision_loss)]
        let client_timestamp = client_ts.0 as f64 / 1000.0;
        Self { size_bytes, content_type, client_timestamp }
    }
}

impl ValueBody {
    /// Of a row and its value.
    pub fn of(entry: Entry, value: impl Into<Option<String>>) -> Self {
        Self {
            metadata: Metadata::new(entry.size, entry.content_type, entry.client_ts),
            value: value.into(),
            created_at: entry.created_at.rfc3339(),
            updated_at: entry.updated_at.rfc3339(),
            expires_at: entry.expires_at.map(Millis::rfc3339),
            key: entry.key,
        }
    }
}

/// 404 for a key.
pub fn not_found() -> Failure {
    Failure::new(ErrorCode::KeyNotFound, "nothing is stored under this key")
}

/// The handler.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let (namespace, key) = (Namespace::of(&call)?, key_of(&call)?);
    let (entry, value) = read::find_value(&call.platform, &namespace, &key).await?.ok_or_else(not_found)?;
    Reply::json_with_text(&ValueBody::of(entry, None), "value", &value)
}
