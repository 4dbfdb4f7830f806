//! GET /api/v1/auth/sessions and DELETE /api/v1/auth/sessions/{session}, for clients: the browsers that the person is signed in with, and
//! the apps that hold sessions of theirs (which are taken back by `POST /api/v1/auth/revoke`).

use crate::browser;
use crate::sql::{self, BrowserRow};
use serde_json::{Value, json};
use tmcp_http::audit::Entry;
use tmcp_http::cors::Reader;
use tmcp_http::{Call, Failure, Reply, people};
use tmcp_ports::{Platform, Sql, stmt};
use tmcp_protocol::routes::{INTERNAL_APPS, INTERNAL_LOGOUT, SESSION_END};
use tmcp_protocol::{ErrorCode, Uid};

/// Ends a browser session; whether it was there.
pub async fn end<P: Platform>(call: &Call<P>, uid: &Uid, id: &str) -> Result<bool, Failure> {
    let (actor, target) = (Some(uid.as_str()), Some(id));
    let entry = Entry { action: "browser.end", outcome: "ok", actor, target, ..Entry::default() };
    let audit = call.audit_where(sql::AUDIT_END, entry, &[uid.as_str(), id]);
    let ended = call.platform.sql().batch(vec![audit, stmt!(sql::END_BROWSER, uid.as_str(), id)]).await?;
    Ok(ended.last().is_some_and(|rows| !rows.is_empty()))
}

/// GET /api/v1/auth/sessions
pub async fn list<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    call.answer_is_for(Reader::Host);
    let claims = call.platform_claims()?;
    people::may_decide(claims.level)?;
    let (uid, now) = (claims.sub.as_str(), call.now());
    let rows: Vec<BrowserRow> = call.platform.sql().rows(stmt!(sql::BROWSERS, uid, now, browser::idle_since(now))).await?;
    let shown = |row: BrowserRow| {
        json!({"id": row.id, "agent": row.agent, "address": row.address, "created_at": row.created_at.rfc3339(),
            "used_at": row.used_at.rfc3339()})
    };
    let apps: Vec<Value> = call.ask(&INTERNAL_APPS, &json!({ "uid": uid })).await??;
    let app = |row: &Value| json!({"miniapp_id": row["app_id"], "name": row["name"], "since": row["since"]});
    let browsers: Vec<Value> = rows.into_iter().map(shown).collect();
    Reply::json(&json!({"browsers": browsers, "apps": apps.iter().map(app).collect::<Vec<_>>()}))
}

/// DELETE /api/v1/auth/sessions/{session}
pub async fn delete<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    call.answer_is_for(Reader::Host);
    let claims = call.platform_claims()?;
    people::may_decide(claims.level)?;
    let id = call.rest_of_path(SESSION_END.prefix())?;
    match end(&call, &claims.sub, &id).await? {
        true => Ok(Reply::no_content()),
        false => Err(Failure::new(ErrorCode::NotFound, "the person has no such session")),
    }
}

/// POST /api/v1/auth/logout: ends the session of the platform token, with every browser and mini-app session that came from it. Answers
/// 204; the token is refused from the next request on.
pub async fn logout<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let claims = call.platform_claims()?;
    let _: Value = call.ask(&INTERNAL_LOGOUT, &json!({"uid": claims.sub, "session": claims.session_id})).await??;
    Ok(Reply::no_content())
}
