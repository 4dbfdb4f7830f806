//! Refresh families: the chain of refresh tokens of one session in one mini-app, ended together with its access tokens.

use crate::mint;
use crate::sql;
use tmcp_http::audit::Entry;
use tmcp_http::subject::{self, SubjectId};
use tmcp_http::{Call, Failure};
use tmcp_ports::{Platform, Sql, Statement, stmt};
use tmcp_protocol::routes::{INTERNAL_END_BROWSERS, INTERNAL_END_DEVELOPER};
use tmcp_protocol::{AppId, ClientId, Millis, ScopeSet, Uid};

/// A refresh token lives so long.
pub const TOKEN_MS: i64 = 30 * 24 * 60 * 60 * 1000;
/// A family lives so long in all.
const FAMILY_MS: i64 = 90 * 24 * 60 * 60 * 1000;

/// How long the family of a grant lives: that of a privileged token ends with it, and nobody is given its refresh token.
pub fn life_ms(scope: &ScopeSet) -> i64 {
    if scope.is_privileged() { mint::MAX_LIFETIME_S * 1000 } else { FAMILY_MS }
}

/// A fresh refresh token: `rt_` and 256 random bits. Only its hash is kept.
pub fn new_token<P: Platform>(call: &Call<P>) -> String {
    format!("rt_{}", call.secret())
}

/// When the last access token of a session expires that was issued until now, by whatever configuration, with room for clocks.
fn until<P: Platform>(call: &Call<P>) -> Millis {
    call.now().plus((mint::MAX_LIFETIME_S + 60) * 1000)
}

/// Ends a family and its access tokens: first in SQL, so that no refresh succeeds any more, then at the subject.
pub async fn end<P: Platform>(call: &Call<P>, family: &str, uid: &Uid, app: &AppId, audit: Statement) -> Result<(), Failure> {
    call.platform.sql().batch(vec![stmt!(sql::END_FAMILY, family, call.now()), audit]).await?;
    end_access(call, family, uid, app).await
}

/// Ends a family whose code or refresh token was used a second time: somebody else has it.
pub async fn end_reused<P: Platform>(
    call: &Call<P>,
    action: &'static str,
    family: &str,
    uid: &Uid,
    app: &AppId,
) -> Result<(), Failure> {
    let (actor, target) = (Some(uid.as_str()), Some(app.as_str()));
    let audit = call.audit(Entry { action, outcome: "refused", actor, target, ..Entry::default() });
    end(call, family, uid, app, audit).await
}

/// Refuses a family's access tokens from now on.
pub async fn end_access<P: Platform>(call: &Call<P>, family: &str, uid: &Uid, app: &AppId) -> Result<(), Failure> {
    let id = SubjectId::user(uid, app.as_str());
    Ok(subject::end_session(&call.platform, &id, family, until(call)).await?)
}

/// Refuses one client token from now on.
pub async fn end_token<P: Platform>(call: &Call<P>, client: &ClientId, jti: &str) -> Result<(), Failure> {
    Ok(subject::end_session(&call.platform, &SubjectId::client(client), jti, until(call)).await?)
}

/// Ends a platform session: every family and browser session that came from it, and its own tokens. The note that it is being ended
/// comes first, so that maintenance can finish it: a session whose token is refused cannot ask again.
pub async fn end_platform_session<P: Platform>(
    call: &Call<P>,
    uid: &Uid,
    session: &str,
    audit: Statement,
) -> Result<(), Failure> {
    let note = stmt!(sql::BEGIN_ENDING, session, uid.as_str(), call.now());
    call.platform.sql().batch(vec![note, audit]).await?;
    finish_ending(call, uid, session).await
}

/// What is left to do once the note is there; can be repeated.
pub async fn finish_ending<P: Platform>(call: &Call<P>, uid: &Uid, session: &str) -> Result<(), Failure> {
    end_families(call, stmt!(sql::END_SESSION_FAMILIES, session, call.now())).await?;
    end_browsers(call, session).await?;
    let id = SubjectId::user(uid, subject::PLATFORM);
    subject::end_session(&call.platform, &id, session, until(call)).await?;
    // An exchange that was on its way stored its family first and asks for the session after: either it was refused, or it is here.
    end_families(call, stmt!(sql::END_LATE_FAMILIES, session, call.now())).await?;
    end_browsers(call, session).await?;
    // Last: a grant at the console asks for the session, which has ended, or finds its code gone.
    let _: serde_json::Value = call.ask(&INTERNAL_END_DEVELOPER, &serde_json::json!({ "platform_session": session })).await??;
    call.platform.sql().query(stmt!(sql::FINISH_ENDING, session)).await?;
    Ok(())
}

async fn end_browsers<P: Platform>(call: &Call<P>, session: &str) -> Result<(), Failure> {
    let _: serde_json::Value = call.ask(&INTERNAL_END_BROWSERS, &serde_json::json!({ "platform_session": session })).await??;
    Ok(())
}

/// Runs a statement that ends families and names them, and refuses their access tokens. Says which was the last.
pub async fn end_families<P: Platform>(call: &Call<P>, statement: Statement) -> Result<Option<String>, Failure> {
    let mut last = None;
    for row in call.platform.sql().query(statement).await? {
        let row: sql::EndedRow = row.decode()?;
        end_access(call, &row.id, &row.uid, &row.app_id).await?;
        // In the order of their ids, whatever order they come in.
        last = last.max(Some(row.id));
    }
    Ok(last)
}
