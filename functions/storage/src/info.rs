//! GET /api/v1/storage-info: quota and usage. Scope `storage:read`.

use crate::namespace::Namespace;
use crate::write;
use serde_json::json;
use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::Platform;
use tmcp_protocol::storage;

/// The handler.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let namespace = Namespace::of(&call)?;
    let usage = write::usage(&call.platform, &namespace).await?;
    let limits = write::limits(&call.platform)?;
    Reply::json(&json!({
        "usage": {"bytes": usage.bytes, "keys": usage.keys},
        "quota": {
            "bytes": limits.bytes, "keys": limits.keys,
            "max_key_bytes": storage::MAX_KEY_BYTES, "max_value_bytes": storage::MAX_VALUE_BYTES,
        },
    }))
}
