//! POST /internal/providers, for account's sign-in page: whom a person can sign in with.

use crate::providers;
use serde_json::{Value, json};
use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::Platform;

/// The handler.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let all = providers::all(&call.platform)?;
    let shown: Vec<Value> = all.iter().map(|one| json!({"id": one.id, "name": one.name})).collect();
    Reply::json(&shown)
}
