//! Whether somebody with a developer token is one still, by the rows: on the list, and the session at the console not ended.

use crate::sql::{self, MemberRow};
use tmcp_http::{Call, Failure};
use tmcp_ports::{Platform, Sql, stmt};
use tmcp_protocol::developer::Role;
use tmcp_protocol::{MatrixUserId, Uid};

/// A developer who asks.
pub struct Developer {
    /// They as a developer.
    pub id: String,
    /// The person.
    pub uid: Uid,
    /// Their Matrix id.
    pub matrix: MatrixUserId,
}

/// Who asks.
pub async fn of<P: Platform>(call: &Call<P>) -> Result<Developer, Failure> {
    let claims = call.developer_claims()?;
    let row: Option<sql::DeveloperRow> =
        call.platform.sql().first(stmt!(sql::STANDING, claims.session_id.as_str(), call.now())).await?;
    let row = row.filter(|row| row.id == claims.developer_id && row.uid == claims.uid);
    let row = row.ok_or_else(|| Failure::developer_token("off the list, or the session was ended"))?;
    Ok(Developer { id: row.id, uid: row.uid, matrix: row.matrix_user_id })
}

/// 403 for who may not do that in an organisation.
pub fn not_allowed(message: &'static str) -> Failure {
    Failure::oauth("insufficient_permissions", 403, message)
}

/// 404; who is not in an organisation learns nothing of it.
pub fn not_found(message: &'static str) -> Failure {
    Failure::oauth("not_found", 404, message)
}

/// 409 for what stands against what is there.
pub fn conflict(message: &'static str) -> Failure {
    Failure::oauth("conflict", 409, message)
}

/// What they are in an organisation.
pub async fn role<P: Platform>(call: &Call<P>, org: &str, developer: &Developer) -> Result<Role, Failure> {
    let row: Option<MemberRow> = call.platform.sql().first(stmt!(sql::MEMBER, org, developer.id.as_str())).await?;
    row.map(|row| row.role).ok_or_else(|| not_found("there is no such organisation, or you are not in it"))
}

/// Refuses who is not an admin of it.
pub async fn admin<P: Platform>(call: &Call<P>, org: &str, developer: &Developer) -> Result<(), Failure> {
    match role(call, org, developer).await? {
        Role::Admin => Ok(()),
        _ => Err(not_allowed("only admins of the organisation may do that")),
    }
}
