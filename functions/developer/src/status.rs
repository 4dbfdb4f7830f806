//! POST /internal/status/developer: the database, and whether it has the tables.

use crate::sql;
use serde_json::json;
use tmcp_http::status::{Check, Question, Status};
use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::{Platform, Sql, stmt};

/// The handler.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let _: Question = call.message()?;
    let database = call.platform.sql().query(stmt!(sql::PROBE)).await.map_err(Failure::from);
    Reply::json(&json!(Status { checks: vec![Check::of("database", database)], ..Status::default() }))
}
