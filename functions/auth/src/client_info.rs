//! POST /internal/client: what a client registered, for account, which asks people about it. The row as it lies there.

use crate::sql;
use serde_json::Value;
use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::{Platform, Sql, stmt};
use tmcp_protocol::ErrorCode;

/// The handler.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let question: Value = call.message()?;
    let id = question.get("client_id").and_then(Value::as_str);
    let row = call.platform.sql().query(stmt!(sql::CLIENT_INFO, id)).await?.into_iter().next();
    let row = row.ok_or_else(|| Failure::new(ErrorCode::NotFound, "there is no such client"))?;
    Reply::json(&row.decode::<Value>()?)
}
