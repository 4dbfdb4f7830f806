//! The refresh grant (RFC 6749 section 6) with rotation and reuse detection (RFC 9700 section 4.14.2).
//!
//! | answer | when |
//! |---|---|
//! | 200 | a new pair; the old refresh token is used up |
//! | 400 `invalid_grant` | unknown, expired, another client's, or used: see below |
//! | 429 | too many refreshes of this person in this app |
//!
//! The races: of two parallel uses one gets the successor, since `parent` is unique; the other is a second use within ten seconds
//! with the successor unused, and is refused without harm: a client that lost the answer must not lose its session. Any other
//! second use is somebody else's, and ends the family with its access tokens.

use crate::family;
use crate::mint::{self, Granted};
use crate::sql::{self, ClientRow, TokenRow};
use crate::token::Issued;
use tmcp_http::body::Form;
use tmcp_http::cors::Reader;
use tmcp_http::people::Names;
use tmcp_http::subject::SubjectId;
use tmcp_http::{Call, Failure, sha256_hex};
use tmcp_ports::{Platform, Sql, stmt};
use tmcp_protocol::limits::LimitClass;
use tmcp_protocol::{ScopeSet, rotation};

fn invalid_grant(cause: &'static str) -> Failure {
    Failure::oauth("invalid_grant", 400, "the refresh token does not hold").because(cause)
}

/// Grants the refresh.
pub async fn grant<P: Platform>(call: &Call<P>, form: &Form, client: &ClientRow) -> Result<Issued, Failure> {
    call.answer_is_for(Reader::Client(client.client_id.to_string()));
    let hash = sha256_hex(form.require("refresh_token")?);
    let row = find(call, &hash).await?.ok_or_else(|| invalid_grant("unknown"))?;
    call.is_about(Some(row.uid.as_str()), Some(row.app_id.as_str()));
    if row.client_id != client.client_id || row.app_id != client.app_id {
        return Err(invalid_grant("another client's, or one that was moved to another app"));
    }
    // What the operator has taken from the app since is not granted again, and what is privileged is never renewed.
    let granted = row.scope.iter().filter(|scope| client.may_ask_for(*scope) && !scope.is_official_only()).collect();
    let scope = narrowed(form.get("scope"), &granted)?;
    let subject = SubjectId::user(&row.uid, row.app_id.as_str());
    // The generation is read before the token is used up: a revocation in between ends the family first, and then either the
    // rotation below fails or the token carries the old generation.
    let generation = call.enter(&subject, LimitClass::TokenRefresh, Some(&row.family)).await?;
    let Some(generation) = generation else { return Err(invalid_grant("the session was ended")) };
    let person = Names::parse(&row.subject)?;
    // Signed before the old token is used up: where signing fails, the client still has a token that works.
    let granted = Granted {
        uid: &row.uid,
        subject: &person,
        app_id: &row.app_id,
        client_id: &row.client_id,
        scope: &scope,
        session_id: &row.family,
        generation,
        delegated: false,
        miniapp_context: None,
    };
    let minted = mint::tep(call, granted).await?;
    let (now, next) = (call.now(), family::new_token(call));
    let mut results = call
        .platform
        .sql()
        .batch(vec![
            stmt!(sql::USE_TOKEN, hash.as_str(), now),
            stmt!(sql::NEXT_TOKEN, hash.as_str(), sha256_hex(&next), now, now.plus(family::TOKEN_MS)),
        ])
        .await?;
    if results.pop().is_none_or(|rows| rows.is_empty()) {
        return Err(refuse(call, &hash).await?);
    }
    Ok(Issued { minted, refresh_token: next, scope, person, exchanged: false })
}

async fn find<P: Platform>(call: &Call<P>, hash: &str) -> Result<Option<TokenRow>, Failure> {
    Ok(call.platform.sql().first(stmt!(sql::FIND_TOKEN, hash)).await?)
}

/// A refresh may ask for less than was granted, never for more.
fn narrowed(list: Option<&str>, granted: &ScopeSet) -> Result<ScopeSet, Failure> {
    let Some(list) = list else { return Ok(granted.clone()) };
    match ScopeSet::parse(list) {
        Ok(scope) if scope.is_subset(granted) => Ok(scope),
        _ => Err(Failure::oauth("invalid_scope", 400, "more than was granted")),
    }
}

/// Why the token could not be used up, as it stands now; reuse ends the family.
async fn refuse<P: Platform>(call: &Call<P>, hash: &str) -> Result<Failure, Failure> {
    let Some(row) = find(call, hash).await? else { return Ok(invalid_grant("unknown")) };
    if row.ended_at.is_some() {
        // Whoever ended it may have died before its access tokens were refused.
        family::end_access(call, &row.family, &row.uid, &row.app_id).await?;
        return Ok(invalid_grant("the family was ended"));
    }
    if !rotation::is_reuse(row.used_at, row.successor_used_at, call.now()) {
        return Ok(invalid_grant(if row.used_at.is_some() { "used a moment ago" } else { "expired" }));
    }
    family::end_reused(call, "token.refresh.reuse", &row.family, &row.uid, &row.app_id).await?;
    Ok(invalid_grant("reuse: the family is ended"))
}
