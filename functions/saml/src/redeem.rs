//! POST /internal/saml/redeem, for broker: who was proven, by the handle and the `state` that a browser came back with.
//!
//! The race: of two that redeem one handle, one marks it.

use crate::sql;
use serde::Deserialize;
use serde_json::{Value, json};
use tmcp_http::{Call, Failure, Reply, sha256_hex};
use tmcp_ports::{Platform, Sql, stmt};

#[derive(Deserialize)]
struct Brought {
    provider: String,
    state: String,
    handle: String,
}

#[derive(Deserialize)]
struct Kept {
    assertion: String,
    proven: String,
}

/// The handler: `{"proven": …}`, or null where there is nothing, or no longer.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let Brought { provider, state, handle } = call.message()?;
    let find = stmt!(sql::FIND, sha256_hex(handle), sha256_hex(state), provider, call.now());
    let kept: Option<Kept> = call.platform.sql().first(find).await?;
    let Some(Kept { assertion, proven }) = kept else { return Reply::json(&json!({"proven": null})) };
    let marked = !call.platform.sql().query(stmt!(sql::TAKE, assertion)).await?.is_empty();
    let read = |text: String| serde_json::from_slice::<Value>(text.as_bytes());
    let proven = read(proven).map_err(|error| Failure::internal(error.to_string()))?;
    Reply::json(&json!({"proven": marked.then_some(proven)}))
}
