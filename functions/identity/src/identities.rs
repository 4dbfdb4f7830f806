//! POST /internal/identities and /internal/identities/unlink, for account's page: where a person comes from, and taking one away.
//!
//! The race: of two who take away the last two, one is refused: the condition is in the statement. What if it dies? It is one batch.

use crate::sql::{self, IdentityRow};
use crate::verify::member;
use crate::{linking, providers};
use serde_json::{Value, json};
use tmcp_http::audit::Entry;
use tmcp_http::{Call, Failure, Reply, sha256_hex};
use tmcp_ports::{Platform, Sql, stmt};
use tmcp_protocol::provider::{Kind, Provider};
use tmcp_protocol::{ErrorCode, MatrixUserId};

/// What names an identity in a form: neither provider nor external id is anybody's business there.
fn id(row: &IdentityRow) -> String {
    sha256_hex(format!("{}\n{}", row.provider, row.external_id))
}

/// The provider that it is signed in with, if one is configured.
fn way<P: Platform>(call: &Call<P>, row: &IdentityRow) -> Result<Option<String>, Failure> {
    let is_it = |provider: &&Provider| match &provider.kind {
        Kind::Matrix(server) => {
            MatrixUserId::parse(row.external_id.as_str()).is_ok_and(|id| row.kind == "matrix" && id.server() == server.as_str())
        }
        _ => provider.instance().as_deref() == Some(row.provider.as_str()),
    };
    Ok(providers::all(&call.platform)?.iter().find(is_it).map(|provider| provider.id.clone()))
}

/// POST /internal/identities
pub async fn list<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let message: Value = call.message()?;
    let rows: Vec<IdentityRow> = call.platform.sql().rows(stmt!(sql::IDENTITIES, member(&message, "uid"))).await?;
    let primary = rows.iter().position(|row| row.kind == "matrix");
    let mut shown = Vec::new();
    for (n, row) in rows.iter().enumerate() {
        let name = linking::shown(&call, row)?;
        shown.push(json!({
            "id": id(row), "name": name, "since": row.created_at, "used": row.last_used_at, "primary": primary == Some(n),
            "way": way(&call, row)?,
        }));
    }
    Reply::json(&shown)
}

/// POST /internal/identities/unlink
pub async fn unlink<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let message: Value = call.message()?;
    let (uid, wanted) = (member(&message, "uid"), member(&message, "id"));
    call.is_about(Some(uid), None);
    let rows: Vec<IdentityRow> = call.platform.sql().rows(stmt!(sql::IDENTITIES, uid)).await?;
    let row = rows.iter().find(|row| id(row) == wanted);
    let row = row.ok_or_else(|| Failure::new(ErrorCode::NotFound, "this account has no such identity any more"))?;
    let (provider, external_id) = (row.provider.as_str(), row.external_id.as_str());
    let target = format!("{provider} {external_id}");
    let entry = Entry { action: "identity.unlink", outcome: "ok", actor: Some(uid), target: Some(&target), ..Entry::default() };
    let batch =
        vec![stmt!(sql::UNLINK, provider, external_id, uid), call.audit_where(sql::AUDIT_UNLINK, entry, [provider, external_id])];
    if call.platform.sql().batch(batch).await?.first().is_none_or(Vec::is_empty) {
        let message = "the last identity stays, and so does the Matrix id that apps know you by";
        return Err(Failure::new(ErrorCode::Conflict, message));
    }
    Reply::json(&json!({}))
}
