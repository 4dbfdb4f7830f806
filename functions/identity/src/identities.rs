//! POST /internal/identities, …/unlink and …/choose, for account's page: where a person comes from, taking one away, and saying which
//! Matrix id apps know them by. What was granted in another name is account's to end, which notes beforehand that it has to.
//!
//! The races: of two who take away the last two, one is refused; so is whoever takes away what is being chosen, or chooses what is being
//! taken away: the conditions are in the statements. What if it dies? Each is one batch.

use crate::sql::{self, IdentityRow};
use serde_json::{Value, json};
use tmcp_http::audit::Entry;
use tmcp_http::{Call, Failure, Reply, sha256_hex};
use tmcp_ports::{Platform, Sql, stmt};
use tmcp_protocol::{ErrorCode, MatrixUserId};

/// A text of a message; empty where it is none.
fn member<'a>(brought: &'a Value, name: &str) -> &'a str {
    brought.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// What names an identity in a form: neither provider nor external id is anybody's business there.
fn id(row: &IdentityRow) -> String {
    sha256_hex(format!("{}\n{}", row.provider, row.external_id))
}

/// What account needs to say what it is called, and where it is signed in with.
pub fn shown(row: &IdentityRow) -> Value {
    let matrix = MatrixUserId::parse(row.external_id.as_str()).ok().filter(|_| row.kind == "matrix");
    let name = matrix.as_ref().map_or(row.username.as_str(), MatrixUserId::as_str);
    json!({"name": name, "instance": row.provider, "server": matrix.as_ref().map(MatrixUserId::server)})
}

/// POST /internal/identities
pub async fn list<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let message: Value = call.message()?;
    let rows: Vec<IdentityRow> = call.platform.sql().rows(stmt!(sql::IDENTITIES, member(&message, "uid"))).await?;
    let primary = rows.iter().position(|row| row.kind == "matrix");
    let entry = |(n, row): (usize, &IdentityRow)| {
        let is_primary = primary == Some(n);
        json!({"id": id(row), "identity": shown(row), "since": row.created_at, "used": row.last_used_at, "primary": is_primary})
    };
    Reply::json(&rows.iter().enumerate().map(entry).collect::<Vec<_>>())
}

/// The one that a message means.
async fn wanted<P: Platform>(call: &Call<P>, uid: &str, wanted: &str) -> Result<IdentityRow, Failure> {
    call.is_about(Some(uid), None);
    let rows: Vec<IdentityRow> = call.platform.sql().rows(stmt!(sql::IDENTITIES, uid)).await?;
    let row = rows.into_iter().find(|row| id(row) == wanted);
    row.ok_or_else(|| Failure::new(ErrorCode::NotFound, "this account has no such identity any more"))
}

/// POST /internal/identities/choose
pub async fn choose<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let message: Value = call.message()?;
    let uid = member(&message, "uid");
    let row = wanted(&call, uid, member(&message, "id")).await?;
    let (provider, external_id) = (row.provider.as_str(), row.external_id.as_str());
    let entry = Entry { action: "identity.choose", outcome: "ok", actor: Some(uid), target: Some(provider), ..Entry::default() };
    let batch = vec![
        call.audit_where(sql::AUDIT_CHOOSE, entry, &[provider, external_id]),
        stmt!(sql::CHOOSE, provider, external_id, uid, call.now()),
    ];
    if call.platform.sql().batch(batch).await?.last().is_none_or(Vec::is_empty) {
        let message =
            "only a Matrix id can be the one that apps know you by, and not another one while a wallet pays in its name";
        return Err(Failure::new(ErrorCode::Conflict, message));
    }
    Reply::json(&json!({}))
}

/// POST /internal/identities/unlink
pub async fn unlink<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let message: Value = call.message()?;
    let uid = member(&message, "uid");
    let row = wanted(&call, uid, member(&message, "id")).await?;
    let (provider, external_id) = (row.provider.as_str(), row.external_id.as_str());
    let entry = Entry { action: "identity.unlink", outcome: "ok", actor: Some(uid), target: Some(provider), ..Entry::default() };
    let batch = vec![
        stmt!(sql::UNLINK, provider, external_id, uid),
        call.audit_where(sql::AUDIT_UNLINK, entry, &[provider, external_id]),
    ];
    if call.platform.sql().batch(batch).await?.first().is_none_or(Vec::is_empty) {
        let message = "the last identity stays, and so does the Matrix id that apps know you by";
        return Err(Failure::new(ErrorCode::Conflict, message));
    }
    Reply::json(&json!({}))
}
