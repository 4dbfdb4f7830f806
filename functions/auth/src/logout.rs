//! POST /internal/logout, for account: ends a platform session, and every mini-app session that came from it. What if it dies? Maintenance
//! finishes it.

use crate::family;
use serde::Deserialize;
use tmcp_http::audit::Entry;
use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::Platform;
use tmcp_protocol::Uid;

#[derive(Deserialize)]
struct Ending {
    uid: Uid,
    session: String,
}

/// The handler.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let Ending { uid, session } = call.message()?;
    let (actor, target) = (Some(uid.as_str()), Some(session.as_str()));
    let audit = call.audit(Entry { action: "session.end", outcome: "ok", actor, target, ..Entry::default() });
    family::end_platform_session(&call, &uid, &session, audit).await?;
    Reply::json(&serde_json::json!({}))
}
