//! POST /internal/maintain/consent: periodic work. Sessions of apps that were still to be ended, and questions that are over.

use crate::sql::{self, EndingRow};
use crate::take_back;
use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::{Platform, Sql, stmt};

/// What a request has not finished by then, nobody will.
const LATE_MS: i64 = 60_000;
/// Questions are kept so long after they are over, so that a late second answer is told apart in the log.
const REMEMBER_MS: i64 = 24 * 60 * 60 * 1000;

/// The handler.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let now = call.now();
    let endings: Vec<EndingRow> = call.platform.sql().rows(stmt!(sql::OPEN_ENDINGS, now.plus(-LATE_MS))).await?;
    for ending in &endings {
        take_back::finish(&call, &ending.uid, &ending.app_id, &ending.note).await?;
    }
    call.platform.sql().query(stmt!(sql::FORGET_QUESTIONS, now.plus(-REMEMBER_MS))).await?;
    Reply::json(&serde_json::json!({ "endings_finished": endings.len() }))
}
