//! Finding or creating the user of an identity.
//!
//! The race it prevents: fifty first sign-ins of one person at once. User, identity and profile are created in one batch whose
//! statements do nothing once the identity is there; whoever comes second finds the first one's user.

use crate::homeserver::Homeserver;
use crate::matrix;
use crate::sql::{self, UserRow};
use tmcp_http::audit::Entry;
use tmcp_http::{Call, Failure};
use tmcp_ports::{Platform, Random, Row, Sql, stmt};
use tmcp_protocol::ids::ulid;
use tmcp_protocol::{MatrixUserId, Uid};

/// The user of a Matrix id that was proven.
pub async fn find_or_create<P: Platform>(
    call: &Call<P>,
    homeserver: &Homeserver,
    id: &MatrixUserId,
    address: Option<String>,
) -> Result<UserRow, Failure> {
    let (sql, now) = (call.platform.sql(), call.now());
    let (provider, external_id) = (homeserver.instance.as_str(), id.as_str());
    if let Some(found) = sql.first::<UserRow>(stmt!(sql::FIND, provider, external_id)).await? {
        let entry =
            Entry { action: "sign_in.matrix", outcome: "ok", actor: Some(found.uid.as_str()), address, ..Entry::default() };
        sql.batch(vec![stmt!(sql::TOUCH, provider, external_id, now), call.audit(entry)]).await?;
        return Ok(found);
    }
    let profile = matrix::profile(call, homeserver, id).await;
    let uid = Uid::new(now, call.platform.random().bytes());
    let wallet_id = format!("tw_{}", ulid(now, call.platform.random().bytes()));
    let mut results = sql
        .batch(vec![
            stmt!(sql::CREATE_USER, uid.as_str(), wallet_id, now, provider, external_id),
            stmt!(sql::CREATE_IDENTITY, provider, external_id, uid.as_str(), id.localpart(), now),
            stmt!(sql::CREATE_PROFILE, uid.as_str(), profile.display_name(), profile.avatar(), now),
            stmt!(sql::FIND, provider, external_id),
        ])
        .await?;
    let row = results.pop().and_then(|rows| rows.into_iter().next());
    let row = row.map(Row::decode::<UserRow>).transpose()?;
    let user = row.ok_or_else(|| Failure::internal("a user that was just created is not there"))?;
    // Whoever came second is no new user.
    let action = if user.uid == uid { "sign_in.matrix.first" } else { "sign_in.matrix" };
    let entry = Entry { action, outcome: "ok", actor: Some(user.uid.as_str()), address, ..Entry::default() };
    sql.query(call.audit(entry)).await?;
    Ok(user)
}
