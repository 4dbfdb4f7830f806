//! POST /internal/apps: the apps that hold sessions of a person, for the account's page. Rows as they lie there.

use crate::sql;
use serde_json::{Value, json};
use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::{Platform, Sql, stmt};

/// The handler.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let question: Value = call.message()?;
    let uid = question.get("uid").and_then(Value::as_str);
    let rows = call.platform.sql().query(stmt!(sql::APPS, uid, call.now())).await?;
    Reply::json(&json!(rows.into_iter().map(|row| row.0).collect::<Vec<_>>()))
}
