//! POST /internal/maintain/saml: periodic work.

use crate::sql;
use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::{Platform, Sql, stmt};

/// Portions of 500 that one run forgets at most.
const ROUNDS: usize = 200;

/// The handler.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    for statement in [sql::FORGET_PROVEN, sql::FORGET] {
        for _ in 0..ROUNDS {
            if call.platform.sql().query(stmt!(statement, call.now())).await?.is_empty() {
                break;
            }
        }
    }
    Reply::json(&serde_json::json!({}))
}
