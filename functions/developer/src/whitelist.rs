//! GET and POST /admin/developers/whitelist, DELETE /admin/developers/{developer_id} (TMCP 1.12): who may be a developer. By the
//! administrator's token, or by the console's id and secret as HTTP Basic; every use leaves a row in the audit log.
//!
//! To add: `matrix_user_id!`, `note?`. To end: the developer's id or the Matrix id, percent-encoded; their sessions end with it, and what they invited to. 500 a page,
//! behind `after`.
//!
//! | answer | when |
//! |---|---|
//! | 200 | the list; the entry |
//! | 204 | off the list, and signed out |
//! | 400 `invalid_request` | no Matrix id |
//! | 401 `invalid_token` | neither of the two |
//! | 404 `not_found` | not on the list |
//!
//! The race with a grant on its way: the batch that begins a session asks for the list, the one that ends takes off the list and ends the
//! sessions that are there.

use crate::console;
use crate::sql::{self, ListedRow};
use crate::standing::not_found;
use serde::Deserialize;
use serde_json::{Value, json};
use tmcp_http::audit::Entry;
use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::{Platform, Sql, stmt};
use tmcp_protocol::MatrixUserId;

/// Characters.
const MAX_NOTE: usize = 500;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Added {
    matrix_user_id: MatrixUserId,
    note: Option<String>,
}

fn shown(row: &ListedRow) -> Value {
    json!({"matrix_user_id": row.matrix_user_id, "developer_id": row.developer, "note": row.note, "added_by": row.added_by,
        "added_at": row.added_at.rfc3339()})
}

fn entry<'a>(action: &'a str, manager: &'a str, target: Option<&'a str>) -> Entry<'a> {
    Entry { action, outcome: "ok", actor: Some(manager), target, ..Entry::default() }
}

/// GET /admin/developers/whitelist
pub async fn list<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let manager = console::manager(&call);
    let after = call.parameter("after").unwrap_or_default();
    call.platform.sql().query(call.audit(entry("developer.list", manager, None))).await?;
    let rows: Vec<ListedRow> = call.platform.sql().rows(stmt!(sql::LISTED, after)).await?;
    let next = rows.last().filter(|_| rows.len() == 500).map(|row| row.matrix_user_id.clone());
    Reply::json(&json!({"developers": rows.iter().map(shown).collect::<Vec<_>>(), "next": next}))
}

/// POST /admin/developers/whitelist
pub async fn add<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let manager = console::manager(&call);
    let Added { matrix_user_id, note } = call.json()?;
    if note.as_ref().is_some_and(|note| note.chars().count() > MAX_NOTE) {
        return Err(Failure::invalid(format!("note may have at most {MAX_NOTE} characters")));
    }
    let (matrix, audited) = (matrix_user_id.as_str(), sql::audited(&matrix_user_id));
    let put = stmt!(sql::LIST, matrix, note.as_deref(), manager, call.now());
    let batch = vec![put, call.audit(entry("developer.allow", manager, Some(&audited))), stmt!(sql::LISTED_ONE, matrix)];
    let row = call.platform.sql().batch(batch).await?.pop().and_then(|rows| rows.into_iter().next());
    let row = row.ok_or_else(|| Failure::internal("what was just written is not there"))?;
    Reply::json(&shown(&row.decode()?))
}

/// DELETE /admin/developers/{developer_id}
pub async fn end<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let manager = console::manager(&call);
    let whom = call.in_path("developer_id")?;
    let row: Option<ListedRow> = call.platform.sql().first(stmt!(sql::WHO, whom.as_str())).await?;
    let row = row.ok_or_else(|| not_found("nobody of that id is on the list"))?;
    let (matrix, audited) = (row.matrix_user_id.as_str(), sql::audited(&row.matrix_user_id));
    let batch = vec![
        stmt!(sql::UNLIST, matrix),
        stmt!(sql::END_SESSIONS_OF, matrix, call.now()),
        stmt!(sql::DROP_CODES_OF, matrix),
        stmt!(sql::DROP_INVITATIONS_OF, matrix),
        call.audit(entry("developer.end", manager, Some(&audited))),
    ];
    call.platform.sql().batch(batch).await?;
    Ok(Reply::no_content())
}
