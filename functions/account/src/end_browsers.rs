//! POST /internal/end-browsers: ends the browser sessions that came from a platform session, for auth, when that ends. Can be repeated.

use crate::sql;
use serde::Deserialize;
use serde_json::json;
use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::{Platform, Sql, stmt};

#[derive(Deserialize)]
struct EndRequest {
    platform_session: String,
}

/// The handler.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let EndRequest { platform_session } = call.message()?;
    call.platform.sql().query(stmt!(sql::END_BROWSERS, platform_session)).await?;
    Reply::json(&json!({}))
}
