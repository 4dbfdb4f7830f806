//! What consent holds about a person: for their export, for their own list (GET /api/v1/privacy/consents), and to be erased.

use crate::sql;
use serde::Deserialize;
use serde_json::{Value, json};
use tmcp_http::cors::Reader;
use tmcp_http::{Call, Failure, Reply, audit, people};
use tmcp_ports::{Platform, Sql, stmt};
use tmcp_protocol::{Millis, Uid};

#[derive(Deserialize)]
struct Whose {
    uid: Uid,
}

/// A consent, for its owner.
#[derive(Deserialize)]
struct Given {
    app_id: String,
    scope: String,
    method: String,
    approved_at: Millis,
}

async fn given<P: Platform>(call: &Call<P>, uid: &Uid) -> Result<Vec<Value>, Failure> {
    let rows: Vec<Given> = call.platform.sql().rows(stmt!(sql::GIVEN, uid.as_str())).await?;
    let shown = |row: Given| json!({"miniapp_id": row.app_id, "scope": row.scope, "method": row.method, "approved_at": row.approved_at.rfc3339()});
    Ok(rows.into_iter().map(shown).collect())
}

/// A decision, from the audit log.
#[derive(Deserialize)]
struct Decided {
    id: String,
    at: Millis,
    action: String,
    target: Option<String>,
    detail: Option<String>,
}

/// GET /api/v1/privacy/consents: what holds now, and what was decided before, 500 at a time behind `after`.
pub async fn list<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    call.answer_is_for(Reader::Host);
    let claims = call.platform_claims()?;
    people::may_decide(claims.level)?;
    let uid = &claims.sub;
    let after = call.parameter("after").unwrap_or_default();
    let rows: Vec<Decided> = call.platform.sql().rows(stmt!(audit::OF, uid.as_str(), after, "consent.")).await?;
    let next = rows.last().filter(|_| rows.len() == 500).map(|row| row.id.clone());
    let shown = |row: Decided| {
        let detail: Value = row.detail.and_then(|text| serde_json::from_slice(text.as_bytes()).ok()).unwrap_or_default();
        json!({"at": row.at.rfc3339(), "action": row.action, "miniapp_id": row.target, "scopes": detail.get("scopes")})
    };
    let history: Vec<Value> = rows.into_iter().map(shown).collect();
    Reply::json(&json!({"consents": given(&call, uid).await?, "history": history, "next": next}))
}

/// POST /internal/export/consent
pub async fn export<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let Whose { uid } = call.message()?;
    Reply::json(&json!({"rows": given(&call, &uid).await?, "next": null}))
}

/// POST /internal/erase/consent; idempotent.
pub async fn erase<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let Whose { uid } = call.message()?;
    call.platform.sql().batch(sql::ERASE.map(|statement| stmt!(statement, uid.as_str())).to_vec()).await?;
    Ok(Reply::no_content())
}
