//! POST /internal/keys: how many values lie under each master key, so that the operator knows when one can go.

use crate::sql;
use serde::Deserialize;
use std::collections::BTreeMap;
use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::{Platform, Sql, stmt};

#[derive(Deserialize)]
struct CountRow {
    key_id: String,
    count: i64,
}

/// Values per master key id.
pub async fn counts(platform: &impl Platform) -> Result<BTreeMap<String, i64>, Failure> {
    let rows: Vec<CountRow> = platform.sql().rows(stmt!(sql::KEY_COUNTS)).await?;
    Ok(rows.into_iter().map(|row| (row.key_id, row.count)).collect())
}

/// The handler.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    Reply::json(&serde_json::json!({ "values": counts(&call.platform).await? }))
}
