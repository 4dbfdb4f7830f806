//! What developer holds about a person: for their export, and to be erased (POST /internal/export/developer, /internal/erase/developer).
//!
//! Who leaves takes their memberships along. An organisation that would be without an admin gets the oldest of its developers for one; one
//! that has none but viewers is dissolved, in one batch. What if it dies? The next run finds what is left.

use crate::issue;
use crate::organizations;
use crate::sql::{self, DeveloperRow, InvitationRow, ListedRow, MemberRow};
use serde::Deserialize;
use serde_json::{Value, json};
use tmcp_http::audit::Entry;
use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::{Platform, Row, Sql, stmt};
use tmcp_protocol::Uid;
use tmcp_protocol::routes::INTERNAL_IDENTITIES;

#[derive(Deserialize)]
struct Whose {
    uid: Uid,
}

#[derive(Deserialize)]
struct Held {
    identity: Identity,
}

/// An identity, as identity tells of it.
#[derive(Deserialize)]
struct Identity {
    name: String,
    /// The homeserver, of a Matrix id.
    server: Option<String>,
}

/// The Matrix ids of a person: the list knows people by them.
async fn matrix_ids<P: Platform>(call: &Call<P>, uid: &Uid) -> Result<Vec<String>, Failure> {
    let held: Vec<Held> = call.ask(&INTERNAL_IDENTITIES, &json!({ "uid": uid })).await??;
    Ok(held.into_iter().filter(|one| one.identity.server.is_some()).map(|one| one.identity.name).collect())
}

/// POST /internal/export/developer
pub async fn export<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let Whose { uid } = call.message()?;
    let database = call.platform.sql();
    let mut rows: Vec<Value> = Vec::new();
    for matrix in matrix_ids(&call, &uid).await? {
        let listed: Option<ListedRow> = database.first(stmt!(sql::LISTED_ONE, matrix.as_str())).await?;
        rows.extend(listed.map(|row| {
            json!({"what": "listed", "matrix_user_id": row.matrix_user_id, "note": row.note, "added_at": row.added_at.rfc3339()})
        }));
        let invited: Vec<InvitationRow> = database.rows(stmt!(sql::INVITED, matrix, call.now())).await?;
        rows.extend(invited.iter().map(|row| json!({"what": "invitation", "invitation": row.shown()})));
    }
    let developer: Option<DeveloperRow> = database.first(stmt!(sql::DEVELOPER_OF, uid.as_str())).await?;
    if let Some(developer) = developer {
        let memberships = issue::memberships(&call, &developer.id).await?;
        let begun = database.query(stmt!(sql::SESSIONS, uid.as_str())).await?;
        let sessions: Vec<Value> = begun.into_iter().map(Row::decode).collect::<Result<_, _>>()?;
        rows.push(json!({"what": "developer", "developer_id": developer.id, "matrix_user_id": developer.matrix_user_id,
            "organizations": memberships, "sessions": sessions}));
    }
    Reply::json(&json!({"rows": rows, "next": null}))
}

/// POST /internal/erase/developer; idempotent.
pub async fn erase<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let Whose { uid } = call.message()?;
    let database = call.platform.sql();
    let mut known = matrix_ids(&call, &uid).await?;
    let developer: Option<DeveloperRow> = database.first(stmt!(sql::DEVELOPER_OF, uid.as_str())).await?;
    let mut batch = Vec::new();
    if let Some(DeveloperRow { id, matrix_user_id, .. }) = developer {
        // Told of as they are now; whom it is once it is done is decided in the batch.
        let heirs: Vec<MemberRow> = database.rows(stmt!(sql::HEIRS, id.as_str())).await?;
        let dying: Vec<MemberRow> = database.rows(stmt!(sql::DYING, id.as_str())).await?;
        batch.push(stmt!(sql::INHERIT, id.as_str()));
        batch.extend(heirs.iter().map(|heir| {
            let (org, member) = (heir.org.as_str(), heir.developer.as_str());
            let detail = Some(json!({"developer_id": member, "role": heir.role, "becomes": "admin"}));
            let entry = Entry { action: "organization.inherit", outcome: "ok", target: Some(org), detail, ..Entry::default() };
            call.audit_where(sql::AUDIT_INHERITED, entry, &[org, member])
        }));
        batch.extend(sql::DISSOLVE.iter().map(|statement| stmt!(*statement, id.as_str())));
        batch.extend(dying.iter().map(|member| {
            let org = member.org.as_str();
            let entry = Entry { action: "organization.dissolve", outcome: "ok", target: Some(org), ..Entry::default() };
            call.audit_where(sql::AUDIT_DISSOLVED, entry, &[org])
        }));
        batch.push(stmt!(sql::RENAME, id.as_str(), organizations::own_name(&matrix_user_id)));
        batch.extend([sql::FORGET_INVITED, sql::FORGET_MEMBERSHIPS].map(|statement| stmt!(statement, id.as_str())));
        // The one that they were listed by, though they may have taken it away since.
        known.push(matrix_user_id.to_string());
    }
    for matrix in known {
        batch.extend(sql::FORGET_MATRIX_ID.map(|statement| stmt!(statement, matrix.as_str(), uid.as_str())));
    }
    batch.extend(sql::ERASE.map(|statement| stmt!(statement, uid.as_str())));
    database.batch(batch).await?;
    Ok(Reply::no_content())
}
