//! Invitations to organisations (TMCP 1.12): POST /organizations/v1/{org_id}/members (admins: `matrix_user_id!`, `role!`), GET
//! /organizations/v1/invitations, POST …/invitations/{invitation_id}/accept, DELETE …/invitations/{invitation_id}.
//!
//! | answer | when |
//! |---|---|
//! | 200 | the invitation; the membership |
//! | 204 | declined by whom it is for, or withdrawn by an admin |
//! | 400 `invalid_request` | no Matrix id, no such role |
//! | 403 `insufficient_permissions` | not an admin of the organisation |
//! | 404 `not_found` | no such organisation or invitation, or nobody's that they are |
//! | 409 `conflict` | a member already; too many members, invitations or organisations |
//!
//! An invitation is open for a week. Who is invited again has the last one alone. The races: what an invitation gives is read in the statement
//! that takes it; one that was answered is gone. It never changes what a member is already.

use crate::issue;
use crate::sql::{self, InvitationRow};
use crate::standing::{self, conflict, not_found};
use serde::Deserialize;
use serde_json::json;
use tmcp_http::audit::Entry;
use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::{Platform, Row, Sql, stmt};
use tmcp_protocol::MatrixUserId;
use tmcp_protocol::developer::{Membership, Role};

/// An invitation is open so long (TMCP 1.12).
const LIFE_MS: i64 = 7 * 24 * 60 * 60 * 1000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Invited {
    matrix_user_id: MatrixUserId,
    role: Role,
}

/// POST /organizations/v1/{org_id}/members
pub async fn invite<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let developer = standing::of(&call).await?;
    let Invited { matrix_user_id, role } = call.json()?;
    let org = call.in_path("org_id")?;
    standing::admin(&call, &org, &developer).await?;
    let (id, now) = (issue::fresh(&call, "inv"), call.now());
    let row = InvitationRow {
        id,
        org,
        organization: None,
        matrix_user_id,
        role,
        invited_by: developer.id.clone(),
        invited_at: now,
        expires_at: now.plus(LIFE_MS),
    };
    let (uid, matrix) = (developer.uid.as_str(), row.matrix_user_id.as_str());
    let entry = Entry {
        action: "organization.invite",
        outcome: "ok",
        actor: Some(uid),
        target: Some(&row.org),
        detail: Some(json!({"invitation_id": row.id, "whom": sql::audited(&row.matrix_user_id), "role": role})),
        ..Entry::default()
    };
    let put =
        stmt!(sql::INVITE, row.id.as_str(), row.org.as_str(), matrix, role.as_str(), developer.id.as_str(), now, row.expires_at,);
    let results = call.platform.sql().batch(vec![put, call.audit_where(sql::AUDIT_INVITED, entry, &[&row.id])]).await?;
    if results.first().is_none_or(|rows| rows.is_empty()) {
        return Err(conflict("they are a member already, or the organisation has as many members or invitations as it may have"));
    }
    Reply::json(&row.shown())
}

/// GET /organizations/v1/invitations
pub async fn list<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let developer = standing::of(&call).await?;
    let rows: Vec<InvitationRow> = call.platform.sql().rows(stmt!(sql::INVITED, developer.matrix.as_str(), call.now())).await?;
    Reply::json(&json!({"invitations": rows.iter().map(InvitationRow::shown).collect::<Vec<_>>()}))
}

/// POST /organizations/v1/invitations/{invitation_id}/accept
pub async fn accept<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let developer = standing::of(&call).await?;
    let (id, now) = (call.in_path("invitation_id")?, call.now());
    let (matrix, own) = (developer.matrix.as_str(), developer.id.as_str());
    let rows: Vec<InvitationRow> = call.platform.sql().rows(stmt!(sql::INVITED, matrix, now)).await?;
    let invitation =
        rows.into_iter().find(|row| row.id == id).ok_or_else(|| not_found("there is no such open invitation for you"))?;
    let (uid, org) = (developer.uid.as_str(), invitation.org.as_str());
    let detail = Some(json!({"invitation_id": id, "developer_id": own, "role": invitation.role}));
    let entry =
        Entry { action: "organization.join", outcome: "ok", actor: Some(uid), target: Some(org), detail, ..Entry::default() };
    let batch = vec![
        stmt!(sql::JOIN, id.as_str(), matrix, own, now),
        call.audit_where(sql::AUDIT_JOINED, entry, &[&id, org, own]),
        stmt!(sql::ANSWER, id.as_str(), org, own),
        stmt!(sql::MEMBERSHIP, org, own),
    ];
    let last = call.platform.sql().batch(batch).await?.pop().and_then(|rows| rows.into_iter().next());
    let joined: Option<Membership> = last.map(Row::decode).transpose()?;
    Reply::json(
        &joined.ok_or_else(|| conflict("you are in as many organisations as one may be in, or it was withdrawn a moment ago"))?,
    )
}

/// DELETE /organizations/v1/invitations/{invitation_id}
pub async fn end<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let developer = standing::of(&call).await?;
    let id = call.in_path("invitation_id")?;
    let (uid, own, matrix) = (developer.uid.as_str(), developer.id.as_str(), developer.matrix.as_str());
    let entry =
        Entry { action: "organization.invitation_end", outcome: "ok", actor: Some(uid), target: Some(&id), ..Entry::default() };
    let batch =
        vec![call.audit_where(sql::AUDIT_UNINVITED, entry, &[&id, matrix, own]), stmt!(sql::UNINVITE, id.as_str(), matrix, own)];
    match call.platform.sql().batch(batch).await?.pop() {
        Some(rows) if !rows.is_empty() => Ok(Reply::no_content()),
        _ => Err(not_found("there is no such open invitation, for you or from an organisation of yours")),
    }
}
