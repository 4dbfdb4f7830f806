//! The authorization code grant (RFC 6749 section 4.1.3) with proof of possession (RFC 7636).
//!
//! | answer | when |
//! |---|---|
//! | 200 | TEP and refresh token |
//! | 400 `invalid_grant` | unknown, over, used, another client's, another redirect URI, a verifier that does not meet the challenge; what it was granted on was taken back |
//! | 429 | too many sessions of this person in this app |
//!
//! The race: using the code up and storing the family that it begins are one batch, so that of two parallel uses one finds the row
//! and the other finds it used. A second use is a code that somebody else has: it ends what the first one got (RFC 6749 section 4.1.2).

use crate::consent;
use crate::family;
use crate::mint::{self, Granted};
use crate::session::{self, Ground};
use crate::sql::{self, ClientRow, CodeRow};
use crate::token::Issued;
use tmcp_http::audit::Entry;
use tmcp_http::body::Form;
use tmcp_http::cors::Reader;
use tmcp_http::people::Names;
use tmcp_http::subject::{Held, SubjectId};
use tmcp_http::{Call, Failure, audit_where, sha256_hex};
use tmcp_ports::{Platform, Sql, SqlError, stmt};
use tmcp_protocol::Millis;
use tmcp_protocol::limits::LimitClass;
use tmcp_protocol::pkce::Challenge;

/// Tells of a code that was used by this batch: it is the one that begins the family.
const AUDIT: &str = audit_where!("EXISTS (SELECT 1 FROM refresh_tokens WHERE family = ?10 AND hash = ?11)");

fn invalid_grant(cause: &'static str) -> Failure {
    Failure::oauth("invalid_grant", 400, "the code does not hold").because(cause)
}

/// What is wrong with a code that was found; the order tells somebody else's client nothing of it.
fn problem(row: &CodeRow, client: &ClientRow, redirect_uri: &str, verifier: &str, now: Millis) -> Option<&'static str> {
    let challenge = Challenge::parse(&row.challenge);
    if row.client_id != client.client_id || row.app_id != client.app_id {
        Some("another client's, or one of a client that was moved to another app")
    } else if row.redirect_uri != redirect_uri {
        Some("another redirect_uri")
    } else if !challenge.is_some_and(|challenge| challenge.is_met_by(verifier)) {
        Some("the verifier does not meet the challenge")
    } else if row.used_at.is_none() && row.expires_at <= now {
        Some("expired")
    } else {
        None
    }
}

/// Grants tokens for a code.
pub async fn grant<P: Platform>(call: &Call<P>, form: &Form, client: &ClientRow) -> Result<Issued, Failure> {
    call.answer_is_for(Reader::Client(client.client_id.to_string()));
    let hash = sha256_hex(form.require("code")?);
    let (redirect_uri, verifier) = (form.require("redirect_uri")?, form.require("code_verifier")?);
    let row: Option<CodeRow> = call.platform.sql().first(stmt!(sql::FIND_CODE, hash.as_str())).await?;
    let row = row.ok_or_else(|| invalid_grant("unknown"))?;
    if let Some(problem) = problem(&row, client, redirect_uri, verifier, call.now()) {
        return Err(invalid_grant(problem));
    }
    redeem(call, client, row, &hash, "token.code").await
}

/// Grants tokens for a code that this client may use; what the person allowed a device is one, too.
pub async fn redeem<P: Platform>(
    call: &Call<P>,
    client: &ClientRow,
    row: CodeRow,
    hash: &str,
    action: &'static str,
) -> Result<Issued, Failure> {
    call.is_about(Some(row.uid.as_str()), Some(row.app_id.as_str()));
    if !row.scope.iter().all(|scope| client.may_ask_for(scope)) {
        return Err(invalid_grant("the registration has changed since"));
    }
    if row.used_at.is_some() {
        return Err(reused(call, &row).await?);
    }
    let subject = SubjectId::user(&row.uid, row.app_id.as_str());
    let generation = call.enter(&subject, LimitClass::TokenGeneration, None).await?;
    let generation = generation.ok_or_else(|| Failure::internal("a new session was ended"))?;
    if !consent::missing(call, &row.uid, client, &row.scope, false).await?.missing.is_empty() {
        return Err(invalid_grant("taken back since"));
    }
    let person = Names::parse(&row.subject)?;
    // Signed before the code is used up: where signing fails, the client still has a code that works.
    let granted = Granted {
        uid: &row.uid,
        subject: &person,
        app_id: &row.app_id,
        client_id: &row.client_id,
        scope: &row.scope,
        session_id: &row.family,
        generation,
        delegated: false,
        miniapp_context: None,
    };
    let minted = mint::tep(call, granted).await?;
    let (now, refresh_token) = (call.now(), family::new_token(call));
    let entry = Entry {
        action,
        outcome: "ok",
        actor: Some(row.uid.as_str()),
        target: Some(row.app_id.as_str()),
        detail: Some(serde_json::json!({"client_id": row.client_id, "scope": row.scope})),
        ..Entry::default()
    };
    let first = sha256_hex(&refresh_token);
    let batch = vec![
        stmt!(sql::USE_CODE, hash, now),
        stmt!(sql::BEGIN_FAMILY_BY_CODE, hash, now, now.plus(family::life_ms(&row.scope))),
        stmt!(sql::FIRST_TOKEN_BY_CODE, hash, now, first.as_str(), now.plus(family::TOKEN_MS)),
        call.audit_where(AUDIT, entry, &[&row.family, &first]),
    ];
    match call.platform.sql().batch(batch).await {
        Ok(results) if results.first().is_some_and(|rows| !rows.is_empty()) => {}
        // Used a moment ago: in another millisecond the first statement finds nothing, in the same one the family is there already.
        Ok(_) | Err(SqlError::Constraint(_)) => return Err(reused(call, &row).await?),
        Err(error) => return Err(error.into()),
    }
    let platform = Held { generation: row.generation, session: row.platform_session };
    let consented = consent::is_needed(&row.scope, client).then_some(generation);
    let (uid, app) = (&row.uid, &row.app_id);
    let ground = Ground { action, family: &row.family, uid, app, platform, consented };
    if !session::stands(call, ground).await? {
        return Err(invalid_grant("revoked"));
    }
    Ok(Issued { minted, refresh_token, scope: row.scope, person, exchanged: false })
}

async fn reused<P: Platform>(call: &Call<P>, row: &CodeRow) -> Result<Failure, Failure> {
    family::end_reused(call, "token.code.reuse", &row.family, &row.uid, &row.app_id).await?;
    Ok(invalid_grant("used before: what it gave is ended"))
}
