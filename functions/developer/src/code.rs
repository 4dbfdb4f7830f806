//! The console redeems a code: a session begins. The first time, the person becomes a developer, with an organisation of their own where
//! nobody has invited them to another.
//!
//! The races: using the code up and storing the session that it begins are one batch, which asks for the list, too. Whoever signs the
//! person out drops their codes and ends their sessions in one batch, after the platform's subject knows: a grant that asked the subject
//! before finds its code gone, or its session is found. A second use ends what the first one got. What if it dies? The code still works
//! for a minute; or the session was stored and its token is over in thirty days, used by nobody.

use crate::issue::{self, Whom};
use crate::organizations;
use crate::sql::{self, CodeRow};
use crate::token::{invalid_grant, not_whitelisted};
use serde_json::json;
use tmcp_http::audit::Entry;
use tmcp_http::body::Form;
use tmcp_http::subject::{PLATFORM, SubjectId};
use tmcp_http::{Call, Failure, Reply, sha256_hex};
use tmcp_ports::{Platform, Sql, SqlError, stmt};
use tmcp_protocol::developer::roles;
use tmcp_protocol::limits::LimitClass;
use tmcp_protocol::pkce::Challenge;

/// Grants tokens for a code.
pub async fn grant<P: Platform>(call: &Call<P>, form: &Form) -> Result<Reply, Failure> {
    let hash = sha256_hex(form.require("code")?);
    let (redirect_uri, verifier) = (form.require("redirect_uri")?, form.require("code_verifier")?);
    let row: Option<CodeRow> = call.platform.sql().first(stmt!(sql::FIND_CODE, hash.as_str())).await?;
    let row = row.ok_or_else(|| invalid_grant("unknown"))?;
    call.is_about(Some(row.uid.as_str()), Some(PLATFORM));
    if row.redirect_uri != redirect_uri {
        return Err(invalid_grant("another redirect_uri"));
    }
    if !Challenge::parse(&row.challenge).is_some_and(|challenge| challenge.is_met_by(verifier)) {
        return Err(invalid_grant("the verifier does not meet the challenge"));
    }
    if row.used_at.is_some() {
        return Err(reused(call, &row).await?);
    }
    if row.expires_at <= call.now() {
        return Err(invalid_grant("expired"));
    }
    if call.platform.sql().query(stmt!(sql::IS_LISTED, row.matrix_user_id.as_str())).await?.is_empty() {
        let entry = Entry { action: "developer.token", outcome: "refused", actor: Some(row.uid.as_str()), ..Entry::default() };
        call.platform.sql().query(call.audit(entry)).await?;
        return Err(not_whitelisted());
    }
    let platform = SubjectId::user(&row.uid, PLATFORM);
    let generation = call.enter(&platform, LimitClass::TokenGeneration, Some(&row.platform_session)).await?;
    if generation.is_none_or(|now| row.generation < now) {
        return Err(invalid_grant("signed out since"));
    }
    let developer = enlist(call, &row, &hash).await?;
    let organizations = issue::memberships(call, &developer).await?;
    let (uid, matrix, session) = (&row.uid, &row.matrix_user_id, row.session.as_str());
    let whom = Whom { uid, matrix, developer: &developer, session, generation: row.generation };
    let access_token = issue::access_token(call, whom, &organizations).await?;
    let (now, refresh_token) = (call.now(), issue::refresh_token(call));
    let first = sha256_hex(&refresh_token);
    let entry = Entry {
        action: "developer.token",
        outcome: "ok",
        actor: Some(uid.as_str()),
        target: Some(&developer),
        ..Entry::default()
    };
    let batch = vec![
        stmt!(sql::USE_CODE, hash.as_str(), now),
        stmt!(sql::BEGIN_SESSION, hash.as_str(), now, developer.as_str(), now.plus(issue::SESSION_MS)),
        stmt!(sql::FIRST_TOKEN, hash.as_str(), now, first.as_str(), now.plus(issue::TOKEN_MS)),
        call.audit_where(sql::AUDIT_FIRST, entry, &[session, &first]),
    ];
    match call.platform.sql().batch(batch).await {
        Ok(results) if results.get(1).is_some_and(|rows| !rows.is_empty()) => {}
        // The code was used up by this batch, and no session begun: off the list a moment ago.
        Ok(results) if results.first().is_some_and(|rows| !rows.is_empty()) => return Err(not_whitelisted()),
        Ok(_) | Err(SqlError::Constraint(_)) => return Err(reused(call, &row).await?),
        Err(error) => return Err(error.into()),
    }
    Reply::json(&json!({
        "access_token": access_token, "token_type": "Bearer", "expires_in": issue::LIFETIME_S, "refresh_token": refresh_token,
        "developer_id": developer, "roles": roles(&organizations), "organizations": organizations,
    }))
}

/// The person as a developer; the first time, with an organisation.
async fn enlist<P: Platform>(call: &Call<P>, row: &CodeRow, code: &str) -> Result<String, Failure> {
    let (own, org, now) = (issue::fresh(call, "developer"), issue::fresh(call, "org"), call.now());
    let (uid, matrix) = (row.uid.as_str(), row.matrix_user_id.as_str());
    let founded = json!({"developer_id": own, "role": "admin"});
    let entry = |action, target, detail| Entry {
        action,
        outcome: "ok",
        actor: Some(uid),
        target: Some(target),
        detail,
        ..Entry::default()
    };
    let batch = vec![
        stmt!(sql::ENLIST, own.as_str(), code, now),
        stmt!(sql::FOUND_OWN, org.as_str(), organizations::own_name(&row.matrix_user_id), own.as_str(), now, matrix),
        stmt!(sql::FOUNDER, org.as_str(), own.as_str(), now),
        call.audit_where(sql::AUDIT_ENLIST, entry("developer.enlist", &own, None), &[&own]),
        call.audit_where(sql::AUDIT_FOUNDED, entry("organization.create", &org, Some(founded)), &[&org]),
    ];
    call.platform.sql().batch(batch).await?;
    let found: Option<sql::DeveloperRow> = call.platform.sql().first(stmt!(sql::DEVELOPER_OF, uid)).await?;
    found.map(|found| found.id).ok_or_else(|| invalid_grant("erased meanwhile"))
}

async fn reused<P: Platform>(call: &Call<P>, row: &CodeRow) -> Result<Failure, Failure> {
    let entry = Entry { action: "developer.code.reuse", outcome: "refused", actor: Some(row.uid.as_str()), ..Entry::default() };
    call.platform.sql().batch(vec![stmt!(sql::END_SESSION, row.session.as_str(), call.now()), call.audit(entry)]).await?;
    Ok(invalid_grant("used before: what it gave is ended"))
}
