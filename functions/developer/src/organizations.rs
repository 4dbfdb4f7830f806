//! GET /organizations/v1, POST /organizations/v1/create and GET /organizations/v1/{org_id} (TMCP 1.12).
//!
//! To found one: `name!` (at most 100 bytes), `description?`, `website?` (https), `contact_email?`.
//!
//! | answer | when |
//! |---|---|
//! | 200 | the organisation; who founds it is its admin |
//! | 400 `invalid_request` | what is wrong is named |
//! | 401 `invalid_developer_token`, 403 `forbidden_platform_endpoint` | no developer's token |
//! | 404 `not_found` | no such organisation, or none of theirs |
//! | 409 `conflict` | they are in as many as one may be in |

use crate::issue;
use crate::sql::{self, InvitationRow, MemberRow, OrganizationRow};
use crate::standing::{self, conflict, not_found};
use serde::Deserialize;
use serde_json::{Value, json};
use tmcp_http::audit::Entry;
use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::{Platform, Sql, stmt};
use tmcp_protocol::MatrixUserId;
use tmcp_protocol::developer::Role;
use url::Url;

/// Bytes: the names of twenty organisations stand in a token.
const MAX_NAME: usize = 100;
/// Characters.
const MAX_DESCRIPTION: usize = 1000;
const MAX_ADDRESS: usize = 500;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Founding {
    name: String,
    description: Option<String>,
    website: Option<String>,
    contact_email: Option<String>,
}

impl Founding {
    fn check(&self) -> Result<(), Failure> {
        let is_line =
            |text: &str, most: usize| !text.trim().is_empty() && text.len() <= most && !text.chars().any(char::is_control);
        if !is_line(&self.name, MAX_NAME) {
            return Err(Failure::invalid(format!("name must be a name of at most {MAX_NAME} bytes on one line")));
        }
        if self.description.as_ref().is_some_and(|text| text.chars().count() > MAX_DESCRIPTION) {
            return Err(Failure::invalid(format!("description may have at most {MAX_DESCRIPTION} characters")));
        }
        let is_site = |text: &String| text.len() <= MAX_ADDRESS && Url::parse(text).is_ok_and(|url| url.scheme() == "https");
        if self.website.as_ref().is_some_and(|text| !is_site(text)) {
            return Err(Failure::invalid("website must be an https address"));
        }
        let is_mail = |text: &String| {
            is_line(text, MAX_ADDRESS)
                && !text.contains(char::is_whitespace)
                && text
                    .split_once('@')
                    .is_some_and(|(local, domain)| !local.is_empty() && domain.contains('.') && !domain.contains('@'))
        };
        if self.contact_email.as_ref().is_some_and(|text| !is_mail(text)) {
            return Err(Failure::invalid("contact_email must be an e-mail address"));
        }
        Ok(())
    }
}

/// What the first organisation of somebody is called, which a Matrix id has in ASCII.
pub fn own_name(matrix: &MatrixUserId) -> String {
    matrix.localpart().chars().take(MAX_NAME).collect()
}

fn member(row: &MemberRow) -> Value {
    json!({"developer_id": row.developer, "matrix_user_id": row.matrix_user_id, "role": row.role, "since": row.since.rfc3339()})
}

/// GET /organizations/v1
pub async fn list<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let developer = standing::of(&call).await?;
    Reply::json(&json!({"organizations": issue::memberships(&call, &developer.id).await?}))
}

/// POST /organizations/v1/create
pub async fn create<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let developer = standing::of(&call).await?;
    let founding: Founding = call.json()?;
    founding.check()?;
    let (org, now) = (issue::fresh(&call, "org"), call.now());
    let entry = Entry {
        action: "organization.create",
        outcome: "ok",
        actor: Some(developer.uid.as_str()),
        target: Some(&org),
        detail: Some(json!({"developer_id": developer.id, "role": Role::Admin})),
        ..Entry::default()
    };
    let Founding { name, description, website, contact_email } = &founding;
    let found = stmt!(
        sql::FOUND,
        org.as_str(),
        name.as_str(),
        description.as_deref(),
        website.as_deref(),
        contact_email.as_deref(),
        developer.id.as_str(),
        now,
    );
    let founder = stmt!(sql::FOUNDER, org.as_str(), developer.id.as_str(), now);
    let results = call.platform.sql().batch(vec![found, founder, call.audit_where(sql::AUDIT_FOUNDED, entry, &[&org])]).await?;
    if results.first().is_none_or(|rows| rows.is_empty()) {
        return Err(conflict("you are in as many organisations as one may be in"));
    }
    Reply::json(&json!({
        "org_id": org, "name": name, "description": description, "website": website, "contact_email": contact_email,
        "created_by": developer.matrix, "created_at": now.rfc3339(),
        "roles": [{"matrix_user_id": developer.matrix, "role": Role::Admin}],
    }))
}

/// GET /organizations/v1/{org_id}
pub async fn show<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let developer = standing::of(&call).await?;
    let org = call.in_path("org_id")?;
    let role = standing::role(&call, &org, &developer).await?;
    let sql = call.platform.sql();
    let row: Option<OrganizationRow> = sql.first(stmt!(sql::ORGANIZATION, org.as_str())).await?;
    let row = row.ok_or_else(|| not_found("there is no such organisation, or you are not in it"))?;
    let members: Vec<MemberRow> = sql.rows(stmt!(sql::MEMBERS, org.as_str())).await?;
    // Whom it is waiting for is the admins' to know.
    let open: Vec<InvitationRow> = match role {
        Role::Admin => sql.rows(stmt!(sql::OPEN_INVITATIONS, org.as_str(), call.now())).await?,
        _ => Vec::new(),
    };
    Reply::json(&json!({
        "org_id": org, "name": row.name, "description": row.description, "website": row.website, "contact_email": row.contact_email,
        "created_at": row.created_at.rfc3339(), "role": role, "members": members.iter().map(member).collect::<Vec<_>>(),
        "invitations": open.iter().map(InvitationRow::shown).collect::<Vec<_>>(),
    }))
}
