//! POST /internal/maintain/broker: periodic work.

use crate::sql;
use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::{Platform, Sql, stmt};

/// A document that nobody asked for since is forgotten.
const DOCUMENT_MS: i64 = 7 * 24 * 60 * 60 * 1000;

/// Portions of 500 sign-ins that one run forgets at most.
const ROUNDS: usize = 200;

/// The handler.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let now = call.now();
    // Anybody can begin one: whoever begins many must not begin more than are forgotten.
    for statement in [sql::FORGET_SIGN_INS, sql::FORGET_EMAIL_CODES] {
        for _ in 0..ROUNDS {
            if call.platform.sql().query(stmt!(statement, now)).await?.is_empty() {
                break;
            }
        }
    }
    call.platform.sql().query(stmt!(sql::FORGET_DOCUMENTS, now.plus(-DOCUMENT_MS))).await?;
    Reply::json(&serde_json::json!({}))
}
