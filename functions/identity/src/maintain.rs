//! POST /internal/maintain/identity: periodic work.

use crate::sql::{self, StandingRow};
use crate::standing;
use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::{Platform, Sql, stmt};

/// A document that nobody asked for since is forgotten.
const DOCUMENT_MS: i64 = 7 * 24 * 60 * 60 * 1000;

/// Whoever said something about a person has told it by then, or died.
const UNTOLD_MS: i64 = 60_000;

/// Portions of 500 sign-ins that one run forgets at most.
const ROUNDS: usize = 200;

/// The handler.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let now = call.now();
    // First: nothing that is over is as urgent. One that cannot be told does not keep the others from it.
    let untold: Vec<StandingRow> = call.platform.sql().rows(stmt!(sql::UNTOLD_STANDINGS, now.plus(-UNTOLD_MS))).await?;
    for row in &untold {
        if let Err(failure) = standing::tell(&call, row).await {
            call.note(format!("standing of {}: {}", row.uid.as_str(), failure.cause().unwrap_or_default()));
        }
    }
    call.platform.sql().query(stmt!(sql::FORGET_OPENID, now)).await?;
    // Anybody can begin one: whoever begins many must not begin more than are forgotten.
    for _ in 0..ROUNDS {
        if call.platform.sql().query(stmt!(sql::FORGET_SIGN_INS, now)).await?.is_empty() {
            break;
        }
    }
    call.platform.sql().query(stmt!(sql::FORGET_LINKS, now)).await?;
    call.platform.sql().query(stmt!(sql::FORGET_DOCUMENTS, now.plus(-DOCUMENT_MS))).await?;
    Reply::json(&serde_json::json!({}))
}
