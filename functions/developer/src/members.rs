//! PATCH and DELETE /organizations/v1/{org_id}/members/{developer_id} (TMCP 1.12): admins give a member another `role!` or take them out;
//! everybody may leave.
//!
//! | answer | when |
//! |---|---|
//! | 200, 204 | `developer_id`, `role`; gone |
//! | 400 `invalid_request` | no such role |
//! | 403 `insufficient_permissions` | not an admin of the organisation |
//! | 404 `not_found` | no such organisation or member |
//! | 409 `conflict` | it would have no admin any more |
//!
//! The races: of two admins who take each other's role the second is none any more: what `Change` decides stands in the statement, too.
//! Who is no admin any more takes their open invitations along.

use crate::sql::{self, MemberRow};
use crate::standing::{self, Developer, conflict, not_allowed, not_found};
use serde::Deserialize;
use serde_json::json;
use tmcp_http::audit::Entry;
use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::{Platform, Sql, stmt};
use tmcp_protocol::developer::{Change, Rejection, Role};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    role: Role,
}

/// What somebody is after a change.
const GONE: &str = "";

/// Makes a change: another role, or none.
async fn make<P: Platform>(call: &Call<P>, actor: &Developer, then: Option<Role>) -> Result<String, Failure> {
    let (org, member) = (call.in_path("org_id")?, call.in_path("developer_id")?);
    let role = standing::role(call, &org, actor).await?;
    let found: Option<MemberRow> = call.platform.sql().first(stmt!(sql::MEMBER, org.as_str(), member.as_str())).await?;
    let found = found.ok_or_else(|| not_found("there is no such member"))?;
    let own = member == actor.id;
    let change = Change { actor: role, own, now: found.role, then, admins: found.admins };
    change.decide().map_err(|rejection| match rejection {
        Rejection::NotAdmin => not_allowed("only admins of the organisation may do that"),
        Rejection::LastAdmin => conflict("the organisation needs an admin: make somebody else one first"),
    })?;
    let becomes = then.map_or(GONE, Role::as_str);
    let action = if then.is_some() { "organization.role" } else { "organization.leave" };
    let detail = Some(json!({"developer_id": member, "role": found.role, "becomes": then}));
    let (uid, by) = (actor.uid.as_str(), actor.id.as_str());
    let entry = Entry { action, outcome: "ok", actor: Some(uid), target: Some(&org), detail, ..Entry::default() };
    let made = match then {
        Some(role) => stmt!(sql::GIVE_ROLE, org.as_str(), member.as_str(), by, role.as_str()),
        None => stmt!(sql::TAKE_OUT, org.as_str(), member.as_str(), by, GONE),
    };
    let batch = vec![
        call.audit_where(sql::AUDIT_CHANGE, entry, &[&org, &member, by, becomes]),
        made,
        stmt!(sql::DROP_INVITATIONS_BY, org.as_str(), member.as_str()),
    ];
    let results = call.platform.sql().batch(batch).await?;
    if results.get(1).is_none_or(|rows| rows.is_empty()) {
        return Err(conflict("somebody changed the members a moment ago: look again"));
    }
    Ok(member)
}

/// PATCH …/{developer_id}
pub async fn change<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let developer = standing::of(&call).await?;
    let Given { role } = call.json()?;
    let member = make(&call, &developer, Some(role)).await?;
    Reply::json(&json!({"developer_id": member, "role": role}))
}

/// DELETE …/{developer_id}
pub async fn end<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let developer = standing::of(&call).await?;
    make(&call, &developer, None).await.map(|_| Reply::no_content())
}
