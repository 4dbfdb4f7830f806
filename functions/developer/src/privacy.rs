//! What developer holds about a person: for their export, and to be erased (POST /internal/export/developer, /internal/erase/developer).
//!
//! Who leaves takes their memberships along. An organisation that would be without an admin gets the oldest of its developers for one; one
//! that has none but viewers is dissolved. What if it dies? Whoever was made an admin is one, and the next run goes on.

use crate::issue;
use crate::sql::{self, DeveloperRow, InvitationRow, ListedRow, MemberRow};
use serde::Deserialize;
use serde_json::{Value, json};
use tmcp_http::audit::Entry;
use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::{Platform, Sql, stmt};
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
        let sessions: Vec<Value> = begun.into_iter().map(|row| Value::Object(row.0)).collect();
        rows.push(json!({"what": "developer", "developer_id": developer.id, "matrix_user_id": developer.matrix_user_id,
            "organizations": memberships, "sessions": sessions}));
    }
    Reply::json(&json!({"rows": rows, "next": null}))
}

/// POST /internal/erase/developer; idempotent.
pub async fn erase<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let Whose { uid } = call.message()?;
    let database = call.platform.sql();
    let developer: Option<DeveloperRow> = database.first(stmt!(sql::DEVELOPER_OF, uid.as_str())).await?;
    if let Some(DeveloperRow { id, .. }) = &developer {
        let heirs: Vec<MemberRow> = database.rows(stmt!(sql::HEIRS, id.as_str())).await?;
        for heir in heirs {
            let (org, member) = (heir.org.as_str(), heir.developer.as_str());
            let detail = Some(json!({"developer_id": member, "role": heir.role, "becomes": "admin"}));
            let target = Some(org);
            let entry = Entry { action: "organization.inherit", outcome: "ok", target, detail, ..Entry::default() };
            database.batch(vec![stmt!(sql::INHERIT, org, member), call.audit(entry)]).await?;
        }
        let mut batch: Vec<_> = sql::DISSOLVE.iter().map(|statement| stmt!(*statement, id.as_str())).collect();
        batch.push(stmt!(sql::FORGET_MEMBERSHIPS, id.as_str()));
        database.batch(batch).await?;
    }
    let mut batch = Vec::new();
    for matrix in matrix_ids(&call, &uid).await? {
        batch.extend(sql::FORGET_MATRIX_ID.map(|statement| stmt!(statement, matrix.as_str())));
    }
    batch.extend(sql::ERASE.map(|statement| stmt!(statement, uid.as_str())));
    database.batch(batch).await?;
    Ok(Reply::no_content())
}
