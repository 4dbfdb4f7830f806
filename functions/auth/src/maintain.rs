//! POST /internal/maintain/auth: periodic work. Subjects that are due (on Spin; alarms do it on Workers), families that are over.

use crate::family;
use crate::sql::{self, EndingRow};
use tmcp_http::subject::Subject;
use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::{Entities, Platform, Sql, stmt};

/// Ended families are remembered for a day, so that a late reuse is still told apart from an unknown token in the log.
const REMEMBER_MS: i64 = 24 * 60 * 60 * 1000;

/// What a request has not finished by then, nobody will.
const LATE_MS: i64 = 60_000;

/// The handler.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let subjects = call.platform.entities().maintain::<Subject>(100).await?;
    let open: Vec<EndingRow> = call.platform.sql().rows(stmt!(sql::OPEN_ENDINGS, call.now().plus(-LATE_MS))).await?;
    let mut finished = 0;
    for ending in &open {
        // One that fails does not keep the others from it.
        match family::finish_ending(&call, &ending.uid, &ending.session).await {
            Ok(()) => finished += 1,
            Err(failure) => call.note(format!("ending {}: {}", ending.session, failure.cause().unwrap_or_default())),
        }
    }
    let before = call.now().plus(-REMEMBER_MS);
    let forget = [sql::FORGET_TOKENS, sql::FORGET_FAMILIES, sql::FORGET_CODES, sql::FORGET_DEVICES];
    call.platform.sql().batch(forget.into_iter().map(|statement| stmt!(statement, before)).collect()).await?;
    Reply::json(&serde_json::json!({ "subjects_woken": subjects, "endings_finished": finished }))
}
