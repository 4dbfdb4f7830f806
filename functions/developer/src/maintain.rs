//! POST /internal/maintain/developer: periodic work. Codes, sessions and invitations that are over.

use crate::sql;
use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::{Platform, Sql, stmt};

/// What is over is remembered for a day, so that a late second use is told apart from an unknown token.
const REMEMBER_MS: i64 = 24 * 60 * 60 * 1000;

/// The handler.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let now = call.now();
    let before = now.plus(-REMEMBER_MS);
    let mut batch: Vec<_> = sql::FORGET.into_iter().map(|statement| stmt!(statement, before)).collect();
    batch.push(stmt!(sql::FORGET_INVITATIONS, now));
    call.platform.sql().batch(batch).await?;
    Reply::json(&serde_json::json!({}))
}
