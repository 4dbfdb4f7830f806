//! POST /internal/maintain/identity: periodic work.

use crate::sql;
use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::{Platform, Sql, stmt};

/// The handler.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    call.platform.sql().query(stmt!(sql::FORGET_OPENID, call.now())).await?;
    Reply::json(&serde_json::json!({}))
}
