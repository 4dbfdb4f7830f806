//! POST /internal/end-developer: ends what somebody has at the console. With `platform_session`, for auth, what came from it, which is
//! being ended; with `uid`, for account, everything of a person who is being signed out. Can be repeated.

use crate::sql;
use serde::Deserialize;
use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::{Platform, Sql, stmt};
use tmcp_protocol::Uid;

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Ending {
    Uid(Uid),
    PlatformSession(String),
}

/// The handler.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let now = call.now();
    let batch = match call.message()? {
        Ending::Uid(uid) => sql::end_person(uid.as_str(), now),
        Ending::PlatformSession(session) => {
            vec![stmt!(sql::DROP_CODES_FROM, session.as_str()), stmt!(sql::END_SESSIONS_FROM, session, now)]
        }
    };
    call.platform.sql().batch(batch).await?;
    Reply::json(&serde_json::json!({}))
}
