//! A developer's access token: what they are, from the rows, signed by auth.

use crate::sql;
use serde::Deserialize;
use serde_json::json;
use tmcp_http::{Call, Failure};
use tmcp_ports::{Platform, Random, Sql, stmt};
use tmcp_protocol::developer::{Membership, permissions, roles};
use tmcp_protocol::ids::ulid;
use tmcp_protocol::routes::INTERNAL_DEVELOPER_TOKEN;
use tmcp_protocol::{MatrixUserId, Uid};

/// An access token lives for a day (TMCP 1.1); whoever is off the list or signed out is refused before.
pub const LIFETIME_S: i64 = 86_400;
/// A refresh token lives so long.
pub const TOKEN_MS: i64 = 30 * 24 * 60 * 60 * 1000;
/// A session at the console lives so long in all.
pub const SESSION_MS: i64 = 90 * 24 * 60 * 60 * 1000;

/// Whom a token is for.
pub struct Whom<'a> {
    /// The person.
    pub uid: &'a Uid,
    /// Their Matrix id.
    pub matrix: &'a MatrixUserId,
    /// They as a developer.
    pub developer: &'a str,
    /// The session at the console.
    pub session: &'a str,
    /// The generation of the platform subject.
    pub generation: i64,
}

/// A fresh id, such as `org_…`.
pub fn fresh<P: Platform>(call: &Call<P>, prefix: &str) -> String {
    format!("{prefix}_{}", ulid(call.now(), call.platform.random().bytes()))
}

/// A fresh refresh token: 256 random bits. Only its hash is kept.
pub fn refresh_token<P: Platform>(call: &Call<P>) -> String {
    format!("rt_dev_{}", call.secret())
}

/// Where a developer is a member.
pub async fn memberships<P: Platform>(call: &Call<P>, developer: &str) -> Result<Vec<Membership>, Failure> {
    Ok(call.platform.sql().rows(stmt!(sql::MEMBERSHIPS, developer)).await?)
}

#[derive(Deserialize)]
struct Signed {
    token: String,
}

/// Has auth sign one.
pub async fn access_token<P: Platform>(call: &Call<P>, whom: Whom<'_>, organizations: &[Membership]) -> Result<String, Failure> {
    let claims = json!({
        "sub": whom.matrix, "developer_id": whom.developer, "roles": roles(organizations), "organizations": organizations,
        "permissions": permissions(organizations), "session_id": whom.session, "uid": whom.uid, "gen": whom.generation,
    });
    let Signed { token } = call.ask(&INTERNAL_DEVELOPER_TOKEN, &claims).await??;
    Ok(token)
}
