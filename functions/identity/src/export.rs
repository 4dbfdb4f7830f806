//! POST /internal/export/identity: what identity holds about a person, and what the audit log tells of what they did.

use crate::profile;
use crate::sql::{self, AccountRow, IdentityRow};
use serde::Deserialize;
use serde_json::{Value, json};
use tmcp_http::{Call, Failure, Reply, audit};
use tmcp_ports::{Platform, Sql, stmt};
use tmcp_protocol::{Millis, Uid};

#[derive(Deserialize)]
struct Portion {
    uid: Uid,
    /// The last row of the portion before.
    after: Option<String>,
}

#[derive(Deserialize)]
struct Done {
    id: String,
    at: Millis,
    action: String,
    outcome: String,
    target: Option<String>,
    address: Option<String>,
    detail: Option<String>,
}

/// The handler.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let Portion { uid, after } = call.message()?;
    let mut rows = match &after {
        None => person(&call, &uid).await?,
        Some(_) => Vec::new(),
    };
    let done = stmt!(audit::OF, uid.as_str(), after.unwrap_or_default(), None::<&str>);
    let done: Vec<Done> = call.platform.sql().rows(done).await?;
    let next = done.last().filter(|_| done.len() == 500).map(|row| row.id.clone());
    rows.extend(done.into_iter().map(|row| {
        let detail: Option<Value> = row.detail.and_then(|text| serde_json::from_slice(text.as_bytes()).ok());
        json!({"what": "action", "at": row.at.rfc3339(), "action": row.action, "outcome": row.outcome, "target": row.target,
            "address": row.address, "detail": detail})
    }));
    Reply::json(&json!({"rows": rows, "next": next}))
}

async fn person<P: Platform>(call: &Call<P>, uid: &Uid) -> Result<Vec<Value>, Failure> {
    let profile = profile::of(call, uid).await?;
    let identities: Vec<IdentityRow> = call.platform.sql().rows(stmt!(sql::IDENTITIES, uid.as_str())).await?;
    let account: Option<AccountRow> = call.platform.sql().first(stmt!(sql::ACCOUNT, uid.as_str())).await?;
    let mut rows = vec![json!({"what": "profile", "profile": profile::shown(&profile)})];
    rows.extend(account.map(|row| {
        let told: Option<Value> = row.suspension.and_then(|text| serde_json::from_slice(text.as_bytes()).ok());
        json!({"what": "account", "status": row.status, "wallet_id": row.wallet_id, "suspension": told})
    }));
    rows.extend(identities.into_iter().map(|row| {
        json!({"what": "identity", "provider": row.provider, "external_id": row.external_id, "kind": row.kind,
            "username": row.username, "linked_at": row.created_at.rfc3339(), "last_used_at": row.last_used_at.rfc3339()})
    }));
    Ok(rows)
}
