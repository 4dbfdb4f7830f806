//! Finding or creating the user of an identity.
//!
//! The races it prevents: fifty first sign-ins of one person at once. User, identity and profile are created in one batch whose
//! statements do nothing once the identity is there; whoever comes second finds the first one's user. Two identities that come at once
//! are two users: nothing but the person, signed in with both, makes them one.

use crate::leaving;
use crate::sql::{self, UserRow};
use serde_json::json;
use tmcp_http::audit::Entry;
use tmcp_http::people::{Names, Verified, label};
use tmcp_http::{Call, Failure};
use tmcp_ports::{Platform, Random, Row, Sql, stmt};
use tmcp_proof::matrix::{self, Profile};
use tmcp_proof::{Proven, Refusal};
use tmcp_protocol::ids::ulid;
use tmcp_protocol::token::AuthLevel;
use tmcp_protocol::{MatrixUserId, Millis, Uid};

impl UserRow {
    /// What their tokens say, after a sign-in at `provider`, as people know it.
    pub fn names(self, provider: &str, level: AuthLevel) -> Names {
        let name = self.matrix_user_id.is_none().then(|| label(&self.username, provider));
        Names { sub: self.matrix_user_id, name, wallet_id: self.wallet_id, level }
    }
}

/// How somebody was proven.
pub struct Proof<'a> {
    /// The identity's kind.
    pub kind: &'a str,
    /// The configured provider, or whom the credentials named: for the audit log.
    pub provider: &'a str,
    /// What people know the provider by.
    pub called: &'a str,
    /// How strong it was.
    pub level: AuthLevel,
    /// Where from, truncated.
    pub address: Option<&'a str>,
    /// Whether they said that they stay, should they have asked to be erased.
    pub stays: bool,
}

/// What is said of a person who was proven to be there; refuses who is suspended, and who asked to be erased and does not say that they
/// stay.
pub async fn answer<P: Platform>(call: &Call<P>, user: UserRow, proof: Proof<'_>) -> Result<Verified, Failure> {
    let Proof { kind, provider, called, level, address, stays } = proof;
    let refused =
        |refusal: Refusal| async move { tmcp_proof::audit(call, kind, provider, &refusal, address.map(str::to_owned)).await };
    if let Some(told) = user.suspended(call.now()) {
        refused(Refusal::Suspended).await?;
        return Err(Failure::suspended(told));
    }
    if let Some(at) = user.leaving_at
        && !(stays && level.is_full() && leaving::stay(call, &user.uid).await?)
    {
        refused(Refusal::Leaving).await?;
        return Err(Failure::leaving(json!({ "erased_at": at.rfc3339() })));
    }
    let shown = json!({
        "id": user.uid, "status": "active", "matrix_user_id": user.matrix_user_id, "matrix_username": user.username,
        "display_name": user.display_name, "avatar_url": user.avatar_url,
    });
    Ok(Verified { uid: user.uid.clone(), names: user.names(called, level), provider: kind.to_owned(), user: shown })
}

/// The user of an identity that was proven. A homeserver is asked for the profile of somebody new.
pub async fn known<P: Platform>(call: &Call<P>, proven: &Proven, address: Option<&str>) -> Result<UserRow, Failure> {
    if let Some(found) = find(call, proven, address).await? {
        return Ok(found);
    }
    let matrix = (proven.kind == "matrix").then(|| MatrixUserId::parse(proven.external_id.as_str()).ok()).flatten();
    let Some(id) = matrix else { return create(call, proven, None, address).await };
    // A sign-in does not fail for it.
    let profile = match tmcp_proof::find(call, Some(id.server())).await? {
        Some(homeserver) => matrix::look(call, &homeserver, &id).await.ok(),
        None => None,
    };
    create(call, proven, profile, address).await
}

/// Whether a user is there for an identity; says in the audit log that they signed in.
pub async fn find<P: Platform>(call: &Call<P>, proven: &Proven, address: Option<&str>) -> Result<Option<UserRow>, Failure> {
    let (sql, provider, external_id) = (call.platform.sql(), proven.instance.as_str(), proven.external_id.as_str());
    let found: Option<UserRow> = sql.first(stmt!(sql::FIND, provider, external_id)).await?;
    if let Some(found) = &found {
        let audit = signed_in(call, proven, found, address, "");
        sql.batch(vec![stmt!(sql::TOUCH, provider, external_id, call.now()), audit]).await?;
    }
    Ok(found)
}

/// A user for an identity that nobody had a moment ago.
async fn create<P: Platform>(
    call: &Call<P>,
    proven: &Proven,
    seen: Option<Profile>,
    address: Option<&str>,
) -> Result<UserRow, Failure> {
    let (sql, now) = (call.platform.sql(), call.now());
    let Proven { instance, external_id, kind, username, display_name, email, .. } = proven;
    let looked_at = if seen.is_some() { now } else { Millis(0) };
    let seen = seen.unwrap_or_else(|| Profile { display_name: display_name.clone(), ..Profile::default() });
    let document = Some(seen.document.as_str()).filter(|document| !document.is_empty());
    let (provider, external_id) = (instance.as_str(), external_id.as_str());
    let uid = Uid::new(now, call.platform.random().bytes());
    let wallet_id = format!("tw_{}", ulid(now, call.platform.random().bytes()));
    let mut results = sql
        .batch(vec![
            stmt!(sql::CREATE_USER, uid.as_str(), wallet_id, now, provider, external_id, email.as_deref()),
            stmt!(sql::CREATE_IDENTITY, provider, external_id, uid.as_str(), username.as_str(), now, kind.as_str()),
            stmt!(sql::CREATE_PROFILE, uid.as_str(), seen.display_name, seen.avatar_url, now, document, looked_at),
            stmt!(sql::FIND, provider, external_id),
        ])
        .await?;
    let row = results.pop().and_then(|rows| rows.into_iter().next());
    let row = row.map(Row::decode::<UserRow>).transpose()?;
    let user = row.ok_or_else(|| Failure::internal("a user that was just created is not there"))?;
    // Whoever came second is no new user.
    let first = if user.uid == uid { ".first" } else { "" };
    sql.query(signed_in(call, proven, &user, address, first)).await?;
    Ok(user)
}

fn signed_in<P: Platform>(
    call: &Call<P>,
    proven: &Proven,
    user: &UserRow,
    address: Option<&str>,
    first: &str,
) -> tmcp_ports::Statement {
    let action = format!("sign_in.{}{first}", proven.kind);
    let (actor, address) = (Some(user.uid.as_str()), address.map(str::to_owned));
    call.audit(Entry { action: &action, outcome: "ok", actor, address, ..Entry::default() })
}
