//! POST /api/v1/auth/logout: ends the session of the platform token, and every mini-app session that came from it. Answers 204;
//! the token is refused from the next request on.

use crate::family;
use tmcp_http::audit::Entry;
use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::Platform;

/// The handler.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let claims = call.platform_claims()?;
    let audit = call.audit(Entry {
        action: "session.end",
        outcome: "ok",
        actor: Some(claims.sub.as_str()),
        target: Some(&claims.session_id),
        ..Entry::default()
    });
    family::end_platform_session(&call, &claims.sub, &claims.session_id, audit).await?;
    Ok(Reply::no_content())
}
