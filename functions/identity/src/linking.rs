//! Linking a further identity to a person, for account, which shows the pages: POST /internal/link/show and …/confirm.
//!
//! ```text
//!  account's page, fresh session ──form──▶ broker: a sign-in bound to person and session ─▶ the provider, which has to ask anew
//!        ▲                                                                                        │
//!        └── confirm: "is this yours?" ◀── /account/link ◀── a row in `links`, by one handle ◀── broker: proven
//! ```
//!
//! Nothing is linked by the provider's answer alone: whoever is led through somebody else's sign-in sees whose it is, and is asked. An
//! identity that is somebody else's stays theirs: 409, never a merge.
//!
//! The races: of two people who link one identity the first insert stays; a handle is used once. What if it dies? The identity and the
//! end of its handle are one batch; before it nothing is linked, and the person begins again.

use crate::identities;
use crate::sql::{self, IdentityRow, UserRow};
use serde::Deserialize;
use serde_json::{Value, json};
use tmcp_http::audit::Entry;
use tmcp_http::{Call, Failure, Reply, sha256_hex};
use tmcp_ports::{Platform, Sql, stmt};
use tmcp_proof::Proven;
use tmcp_protocol::ErrorCode;
use tmcp_protocol::token::AuthLevel;

/// So long may a person think about it.
const OPEN_MS: i64 = 10 * 60 * 1000;
/// Identities of one person.
const MOST: usize = 20;

/// Keeps an identity that was proven for a person to say that it is theirs; gives the handle that leads there.
pub async fn keep<P: Platform>(call: &Call<P>, uid: &str, session: &str, proven: &Proven) -> Result<String, Failure> {
    let handle = call.secret();
    let put = stmt!(
        sql::KEEP_LINK,
        sha256_hex(&handle),
        uid,
        session,
        proven.instance.as_str(),
        proven.external_id.as_str(),
        proven.kind.as_str(),
        proven.username.as_str(),
        call.now().plus(OPEN_MS),
    );
    call.platform.sql().query(put).await?;
    Ok(handle)
}

#[derive(Deserialize)]
struct LinkHandle {
    handle: String,
    uid: String,
    session: String,
}

fn over() -> Failure {
    Failure::new(ErrorCode::NotFound, "this was decided already, or its ten minutes are over: begin again on your account's page")
}

async fn waiting<P: Platform>(call: &Call<P>, hash: &str, uid: &str, session: &str) -> Result<IdentityRow, Failure> {
    let found: Option<IdentityRow> = call.platform.sql().first(stmt!(sql::FIND_LINK, hash, uid, session, call.now())).await?;
    found.ok_or_else(over)
}

/// POST /internal/link/show
pub async fn show<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let LinkHandle { handle, uid, session } = call.message()?;
    let row = waiting(&call, &sha256_hex(handle), &uid, &session).await?;
    Reply::json(&identities::shown(&row))
}

/// POST /internal/link/confirm
pub async fn confirm<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let LinkHandle { handle, uid, session } = call.message()?;
    call.is_about(Some(&uid), None);
    let (hash, now, database) = (sha256_hex(handle), call.now(), call.platform.sql());
    let row = waiting(&call, &hash, &uid, &session).await?;
    if database.query(stmt!(sql::IDENTITIES, uid.as_str())).await?.len() >= MOST {
        return Err(Failure::new(ErrorCode::Conflict, "this account has as many identities as it can have"));
    }
    // The provider: whose identity it is there is nobody's business here.
    let target = row.provider.clone();
    let entry =
        |outcome| Entry { action: "identity.link", outcome, actor: Some(&uid), target: Some(&target), ..Entry::default() };
    let batch = vec![
        stmt!(sql::LINK, hash.as_str(), uid.as_str(), session.as_str(), now),
        call.audit_where(sql::AUDIT_LINK, entry("ok"), &[&hash, &uid]),
        stmt!(sql::END_LINK, hash.as_str(), uid.as_str(), session.as_str(), now),
    ];
    if database.batch(batch).await?.last().is_none_or(Vec::is_empty) {
        return Err(over());
    }
    let user: Option<UserRow> = database.first(stmt!(sql::FIND, row.provider.as_str(), row.external_id.as_str())).await?;
    match user {
        Some(user) if user.uid.as_str() == uid => {
            let names = user.names("", AuthLevel::Full);
            let names = if names.sub.is_some() { json!(names) } else { Value::Null };
            Reply::json(&json!({ "names": names }))
        }
        _ => {
            database.query(call.audit(entry("refused"))).await?;
            Err(Failure::new(ErrorCode::Conflict, "this identity belongs to another account, and stays there"))
        }
    }
}
