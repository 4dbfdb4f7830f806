//! The console refreshes a developer's tokens: single use, as everywhere (RFC 9700 section 4.14.2), and what they are is read anew.
//!
//! The races: of two parallel uses one gets the successor, since `parent` is unique. A second use that only theft explains ends the session.

use crate::issue::{self, Whom};
use crate::sql::{self, TokenRow};
use crate::token::{invalid_grant, not_whitelisted};
use serde_json::json;
use tmcp_http::audit::Entry;
use tmcp_http::body::Form;
use tmcp_http::subject::{PLATFORM, SubjectId};
use tmcp_http::{Call, Failure, Reply, sha256_hex};
use tmcp_ports::{Platform, Sql, stmt};
use tmcp_protocol::limits::LimitClass;
use tmcp_protocol::rotation;

async fn find<P: Platform>(call: &Call<P>, hash: &str) -> Result<Option<TokenRow>, Failure> {
    Ok(call.platform.sql().first(stmt!(sql::FIND_TOKEN, hash)).await?)
}

/// Grants the refresh.
pub async fn grant<P: Platform>(call: &Call<P>, form: &Form) -> Result<Reply, Failure> {
    let hash = sha256_hex(form.require("refresh_token")?);
    let row = find(call, &hash).await?.ok_or_else(|| invalid_grant("unknown"))?;
    call.is_about(Some(row.uid.as_str()), Some(PLATFORM));
    let (uid, developer) = (&row.uid, row.developer.as_str());
    let entry = |outcome| Entry {
        action: "developer.refresh",
        outcome,
        actor: Some(uid.as_str()),
        target: Some(developer),
        ..Entry::default()
    };
    if row.listed == 0 {
        call.platform.sql().query(call.audit(entry("refused"))).await?;
        return Err(not_whitelisted());
    }
    // The generation is read before the token is used up: whoever signs the person out in between ends the session in SQL after that,
    // and the token carries the old generation, which the subject refuses.
    let platform = SubjectId::user(&row.uid, PLATFORM);
    let generation = call.enter(&platform, LimitClass::TokenRefresh, Some(&row.platform_session)).await?;
    let generation = generation.ok_or_else(|| invalid_grant("signed out since"))?;
    let organizations = issue::memberships(call, &row.developer).await?;
    let (matrix, session) = (&row.matrix_user_id, row.session.as_str());
    let access_token = issue::access_token(call, Whom { uid, matrix, developer, session, generation }, &organizations).await?;
    let (now, next) = (call.now(), issue::refresh_token(call));
    let successor = sha256_hex(&next);
    let batch = vec![
        stmt!(sql::USE_TOKEN, hash.as_str(), now),
        stmt!(sql::NEXT_TOKEN, hash.as_str(), successor.as_str(), now, now.plus(issue::TOKEN_MS)),
        call.audit_where(sql::AUDIT_NEXT, entry("ok"), &[&successor]),
    ];
    if call.platform.sql().batch(batch).await?.get(1).is_none_or(|rows| rows.is_empty()) {
        return Err(refuse(call, &hash).await?);
    }
    Reply::json(&json!({
        "access_token": access_token, "token_type": "Bearer", "expires_in": issue::LIFETIME_S, "refresh_token": next,
    }))
}

/// Why the token could not be used up, as it stands now; reuse ends the session.
async fn refuse<P: Platform>(call: &Call<P>, hash: &str) -> Result<Failure, Failure> {
    let Some(row) = find(call, hash).await? else { return Ok(invalid_grant("unknown")) };
    if row.ended_at.is_some() {
        return Ok(invalid_grant("the session was ended"));
    }
    if !rotation::is_reuse(row.used_at, row.successor_used_at, call.now()) {
        return Ok(invalid_grant(if row.used_at.is_some() { "used a moment ago" } else { "expired" }));
    }
    let (actor, target) = (Some(row.uid.as_str()), Some(row.developer.as_str()));
    let entry = Entry { action: "developer.refresh.reuse", outcome: "refused", actor, target, ..Entry::default() };
    call.platform.sql().batch(vec![stmt!(sql::END_SESSION, row.session.as_str(), call.now()), call.audit(entry)]).await?;
    Ok(invalid_grant("reuse: the session is ended"))
}
