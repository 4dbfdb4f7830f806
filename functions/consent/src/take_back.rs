//! POST /api/v1/auth/revoke (TMCP 1.10): a person takes back what an app may do. Body: `miniapp_id!`, `scopes?` (all of them without),
//! `reason?`. A platform token may do so for any app, a TEP for its own.
//!
//! | answer | when |
//! |---|---|
//! | 200 | `revoked_scopes[]`; the app's tokens are refused from the next request on, on every function |
//! | 400 `INVALID_REQUEST` | no such scope |
//! | 403 `INSUFFICIENT_PERMISSIONS` | a TEP for another app; signed in by OpenID token |
//!
//! The race: a grant that read the consents before they went stores its family and then asks the app's subject; ending looks for
//! families again once the subject is raised. What if it dies? Consents, event, webhook and the note that sessions are to be ended are
//! one batch; maintenance ends the sessions where nobody came back to.

use crate::sql;
use serde::Deserialize;
use serde_json::{Value, json};
use tmcp_http::audit::Entry;
use tmcp_http::caller::Caller;
use tmcp_http::outbox::{self, Channel, Message};
use tmcp_http::people;
use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::{Platform, Random, Sql, stmt};
use tmcp_protocol::ids::ulid;
use tmcp_protocol::routes::INTERNAL_END_APP;
use tmcp_protocol::{AppId, ErrorCode, MatrixUserId, Scope, Uid};

/// Longer reasons are cut.
const MAX_REASON: usize = 200;

#[derive(Deserialize)]
struct TakeBackRequest {
    miniapp_id: AppId,
    scopes: Option<Vec<String>>,
    reason: Option<String>,
}

/// What is taken back by whom.
pub struct Taken<'a> {
    /// The person.
    pub uid: &'a Uid,
    /// Their Matrix id, if they have one.
    pub matrix_user_id: Option<&'a MatrixUserId>,
    /// The app.
    pub app: &'a AppId,
    /// These scopes; all of them where it is `None`.
    pub scopes: Option<Vec<&'static str>>,
    /// Why, for the app.
    pub reason: &'a str,
}

fn who<P: Platform>(call: &Call<P>, app: &AppId) -> Result<(Uid, Option<MatrixUserId>), Failure> {
    let (level, person) = match &call.caller {
        Caller::Platform(claims) => (claims.level, (claims.sub.clone(), claims.matrix_user_id.clone())),
        Caller::Tep(claims) if claims.aud == *app => (claims.level, (claims.uid.clone(), Some(claims.sub.clone()))),
        _ => return Err(Failure::new(ErrorCode::InsufficientPermissions, "a mini-app's token is for its own app")),
    };
    people::may_decide(level).map(|()| person)
}

/// Ends an app's sessions and forgets the note about it, if nobody noted it again since.
pub async fn finish<P: Platform>(call: &Call<P>, uid: &Uid, app: &AppId, note: &str) -> Result<(), Failure> {
    let _: Value = call.ask(&INTERNAL_END_APP, &json!({"uid": uid, "app_id": app})).await??;
    call.platform.sql().query(stmt!(sql::FINISH_ENDING, uid.as_str(), app.as_str(), note)).await?;
    Ok(())
}

/// Takes back; says which of the scopes had been agreed to.
pub async fn take_back<P: Platform>(call: &Call<P>, taken: Taken<'_>) -> Result<Vec<String>, Failure> {
    let (uid, app, now) = (taken.uid.as_str(), taken.app.as_str(), call.now());
    let note = ulid(now, call.platform.random().bytes());
    let list = taken.scopes.as_ref().map(|scopes| json!(scopes).to_string());
    let event = json!({
        "authorized": false, "revoked_at": now.seconds(), "revoked_scopes": taken.scopes, "reason": taken.reason,
    });
    let webhook = json!({
        "user_id": taken.matrix_user_id, "miniapp_id": app, "revoked_at": now.rfc3339(), "revoked_scopes": taken.scopes,
        "reason": taken.reason,
    });
    let entry = Entry {
        action: "consent.take_back",
        outcome: "ok",
        actor: Some(uid),
        target: Some(app),
        detail: Some(json!({ "scopes": taken.scopes })),
        ..Entry::default()
    };
    let message = |channel, kind, content| outbox::put(&call.platform, Message { channel, kind, uid, app, content });
    let batch = vec![
        stmt!(sql::TAKE_BACK, uid, app, list),
        stmt!(sql::BEGIN_ENDING, uid, app, note.as_str(), now),
        message(Channel::Matrix, "m.room.tween.authorization", &event),
        message(Channel::Webhook, "scope.revoked", &webhook),
        call.audit(entry),
    ];
    let results = call.platform.sql().batch(batch).await?;
    finish(call, taken.uid, taken.app, &note).await?;
    let scope = |row: &tmcp_ports::Row| row.get("scope").and_then(|value| value.as_str().map(str::to_owned));
    Ok(results.first().into_iter().flatten().filter_map(scope).collect())
}

/// The handler.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let TakeBackRequest { miniapp_id, scopes, reason } = call.json()?;
    let (uid, matrix_user_id) = who(&call, &miniapp_id)?;
    let known = |name: String| Scope::parse(&name).map(Scope::as_str).ok_or(name);
    let scopes = scopes.map(|names| names.into_iter().map(known).collect::<Result<Vec<_>, _>>()).transpose();
    let scopes =
        scopes.map_err(|name| Failure::invalid(format!("there is no scope `{}`", name.chars().take(64).collect::<String>())))?;
    let reason: String = reason.unwrap_or_else(|| "user_initiated".to_owned()).chars().take(MAX_REASON).collect();
    let taken = Taken { uid: &uid, matrix_user_id: matrix_user_id.as_ref(), app: &miniapp_id, scopes, reason: &reason };
    let revoked = take_back(&call, taken).await?;
    Reply::json(&json!({"success": true, "miniapp_id": miniapp_id, "revoked_scopes": revoked}))
}
