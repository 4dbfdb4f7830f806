//! POST /internal/maintain/account: periodic work. People who were still to be signed out, and what is over.

use crate::browser;
use crate::link;
use crate::sql::{self, CutOffRow};
use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::{Platform, Sql, stmt};

/// What a request has not finished by then, nobody will.
const LATE_MS: i64 = 60_000;
/// Handles are kept so long after they are over, so that a late second use is told apart in the log.
const REMEMBER_MS: i64 = 24 * 60 * 60 * 1000;

/// The handler.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let now = call.now();
    let open: Vec<CutOffRow> = call.platform.sql().rows(stmt!(sql::OPEN_CUT_OFFS, now.plus(-LATE_MS))).await?;
    for row in &open {
        // One that fails does not keep the others from it.
        if let Err(failure) = link::cut_off(&call, row).await {
            call.note(format!("signing {} out: {}", row.uid.as_str(), failure.cause().unwrap_or_default()));
            call.platform.sql().query(stmt!(sql::DELAY_CUT_OFF, row.note.as_str(), now)).await?;
        }
    }
    let before = now.plus(-REMEMBER_MS);
    let forget = vec![stmt!(sql::FORGET_HAND_OVERS, before), stmt!(sql::FORGET_BROWSERS, now, browser::idle_since(now))];
    call.platform.sql().batch(forget).await?;
    Reply::json(&serde_json::json!({ "cut_offs_finished": open.len() }))
}
