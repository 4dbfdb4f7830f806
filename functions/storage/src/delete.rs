//! DELETE /api/v1/storage/{key} (TMCP part 3). Scope `storage:write`.
//!
//! | answer | when |
//! |---|---|
//! | 200 | deleted; a tombstone is kept for thirty days |
//! | 404 `KEY_NOT_FOUND` | nothing was stored |

use crate::get::not_found;
use crate::namespace::{Namespace, key_of};
use crate::read;
use crate::write::{self, Change, Outcome, Quota};
use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::Platform;

/// The handler.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let (namespace, key) = (Namespace::of(&call)?, key_of(&call)?);
    // Whether there is something to delete is only for the answer; the deletion itself does not depend on it.
    if read::find(&call.platform, &namespace, &key).await?.is_none() {
        return Err(not_found());
    }
    let change = Change { key: key.clone(), client_ts: None, value: None };
    match write::apply(&call.platform, &namespace, &[change], Quota::Counted).await?.pop() {
        Some(Outcome::Applied(_)) => Reply::json(&serde_json::json!({"key": key, "success": true})),
        Some(Outcome::Absent) => Err(not_found()),
        Some(Outcome::Conflict(_)) | None => Err(Failure::internal("a deletion without an outcome")),
    }
}
