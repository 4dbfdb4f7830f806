//! Finding or creating the user of an identity.
//!
//! The races it prevents: fifty first sign-ins of one person at once. User, identity and profile are created in one batch whose
//! statements do nothing once the identity is there; whoever comes second finds the first one's user. Two identities that come at once
//! are two users: nothing but the person, signed in with both, makes them one.

use crate::leaving;
use crate::sql::{self, UserRow};
use serde_json::{Value, json};
use tmcp_http::audit::Entry;
use tmcp_http::people::{Names, Verified, label};
use tmcp_http::subject::{self, PLATFORM, SubjectId};
use tmcp_http::{Call, Failure};
use tmcp_ports::{Platform, Random, Row, Sql, Statement, stmt};
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
/// stay. What begins a session is told the generation from before: whatever signs the person out meanwhile is either seen here, in the
/// row as it is read once more, or ends that session.
pub async fn answer<P: Platform>(call: &Call<P>, user: UserRow, proven: &Proven, proof: Proof<'_>) -> Result<Verified, Failure> {
    let Proof { called, level, address, stays } = proof;
    let (kind, is_new) = (proven.kind.as_str(), user.is_new);
    let issued = subject::issue(&call.platform, &SubjectId::user(&user.uid, PLATFORM), None).await;
    let again = find(call, proven).await?.filter(|again| again.uid == user.uid);
    let user = again.ok_or_else(|| Failure::unavailable("an identity went while its person signed in"))?;
    let refused = |refusal: Refusal| {
        let detail = Some(json!({ "reason": refusal.to_string() }));
        audit(call, &user, kind, Told { outcome: "refused", target: None, detail, address })
    };
    if let Some(told) = user.suspended(call.now()) {
        call.platform.sql().query(refused(Refusal::Suspended)).await?;
        return Err(Failure::suspended(told));
    }
    if let Some(at) = user.leaving_at
        && !(stays && level.is_full() && leaving::stay(call, &user.uid).await?)
    {
        call.platform.sql().query(refused(Refusal::Leaving)).await?;
        return Err(Failure::leaving(json!({ "erased_at": at.rfc3339() })));
    }
    let generation = issued?.ok_or_else(|| Failure::internal("a new session was ended"))?;
    // Of somebody new the homeserver, whose first person they may be.
    let id = MatrixUserId::parse(proven.external_id.as_str()).ok().filter(|_| is_new && kind == "matrix");
    let told = Told { outcome: "ok", target: id.as_ref().map(MatrixUserId::server), detail: None, address };
    let action = if is_new { format!("{kind}.first") } else { kind.to_owned() };
    let touch = stmt!(sql::TOUCH, proven.instance.as_str(), proven.external_id.as_str(), call.now());
    call.platform.sql().batch(vec![touch, audit(call, &user, &action, told)]).await?;
    let shown = json!({
        "id": user.uid, "status": "active", "matrix_user_id": user.matrix_user_id, "matrix_username": user.username,
        "display_name": user.display_name, "avatar_url": user.avatar_url,
    });
    let (uid, provider, proven_at) = (user.uid.clone(), kind.to_owned(), proven.proven_at);
    Ok(Verified { uid, names: user.names(called, level), provider, user: shown, generation, proven_at })
}

/// What an audit row tells beside who.
struct Told<'a> {
    outcome: &'a str,
    target: Option<&'a str>,
    detail: Option<Value>,
    address: Option<&'a str>,
}

/// A row about somebody who is known: by their internal id, and never by whom they claimed to be.
fn audit<P: Platform>(call: &Call<P>, user: &UserRow, kind: &str, told: Told<'_>) -> Statement {
    let Told { outcome, target, detail, address } = told;
    let (action, actor, address) = (format!("sign_in.{kind}"), Some(user.uid.as_str()), address.map(str::to_owned));
    call.audit(Entry { action: &action, outcome, actor, target, address, detail, ..Entry::default() })
}

/// The user of an identity that was proven. A homeserver is asked for the profile of somebody new.
pub async fn known<P: Platform>(call: &Call<P>, proven: &Proven) -> Result<UserRow, Failure> {
    if let Some(found) = find(call, proven).await? {
        return Ok(found);
    }
    let matrix = (proven.kind == "matrix").then(|| MatrixUserId::parse(proven.external_id.as_str()).ok()).flatten();
    let Some(id) = matrix else { return create(call, proven, None).await };
    // A sign-in does not fail for it.
    let profile = match tmcp_proof::find(call, Some(id.server())).await? {
        Some(homeserver) => matrix::look(call, &homeserver, &id).await.ok(),
        None => None,
    };
    create(call, proven, profile).await
}

/// Whether a user is there for an identity.
pub async fn find<P: Platform>(call: &Call<P>, proven: &Proven) -> Result<Option<UserRow>, Failure> {
    Ok(call.platform.sql().first(stmt!(sql::FIND, proven.instance.as_str(), proven.external_id.as_str())).await?)
}

/// A user for an identity that nobody had a moment ago.
async fn create<P: Platform>(call: &Call<P>, proven: &Proven, seen: Option<Profile>) -> Result<UserRow, Failure> {
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
    Ok(UserRow { is_new: user.uid == uid, ..user })
}
