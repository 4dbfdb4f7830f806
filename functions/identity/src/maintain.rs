//! POST /internal/maintain/identity: periodic work.

use crate::sql;
use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::{Platform, Sql, stmt};

/// A document that nobody asked for since is forgotten.
const DOCUMENT_MS: i64 = 7 * 24 * 60 * 60 * 1000;

/// The handler.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let now = call.now();
    call.platform.sql().query(stmt!(sql::FORGET_OPENID, now)).await?;
    call.platform.sql().query(stmt!(sql::FORGET_SIGN_INS, now)).await?;
    call.platform.sql().query(stmt!(sql::FORGET_DOCUMENTS, now.plus(-DOCUMENT_MS))).await?;
    Reply::json(&serde_json::json!({}))
}
