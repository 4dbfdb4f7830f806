//! POST /internal/device and /internal/device/decide, for account: what a device asks for under a user code, and the person's decision.
//!
//! The race: of two decisions one finds the code undecided. What if it dies? The decision and the code that it gives are one batch.

use crate::sql;
use serde_json::{Value, json};
use tmcp_http::audit::Entry;
use tmcp_http::{Call, Failure, Reply, sha256_hex};
use tmcp_ports::{Platform, Random, Sql, stmt};
use tmcp_protocol::ErrorCode;
use tmcp_protocol::ids::ulid;

fn not_open() -> Failure {
    Failure::new(ErrorCode::NotFound, "there is no such code: it was used already, or its time is over")
}

/// POST /internal/device: the open request of a user code. The row as it lies there.
pub async fn show<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let question: Value = call.message()?;
    let hash = question.get("user_code").and_then(Value::as_str).map(sha256_hex);
    let row = call.platform.sql().query(stmt!(sql::FIND_DEVICE, hash, call.now())).await?.into_iter().next();
    Reply::json(&row.ok_or_else(not_open)?.decode::<Value>()?)
}

/// POST /internal/device/decide
pub async fn decide<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let request: Value = call.message()?;
    let text = |name: &str| request.get(name).and_then(Value::as_str);
    let hash = text("user_code").map(sha256_hex);
    let allow = request.get("allow").and_then(Value::as_bool).unwrap_or_default();
    let (now, own) = (call.now(), ulid(call.now(), call.platform.random().bytes()));
    let decision = if allow { "allowed" } else { "refused" };
    let mut batch = vec![stmt!(sql::DECIDE_DEVICE, hash.as_deref(), now, decision, own.as_str())];
    if allow {
        let generation = request.get("generation").and_then(Value::as_i64);
        let (uid, subject, session) = (text("uid"), text("subject"), text("platform_session"));
        batch.push(stmt!(sql::PUT_DEVICES_CODE, own.as_str(), uid, subject, session, generation, now));
    }
    let action = if allow { "device.allow" } else { "device.refuse" };
    let entry = Entry { action, outcome: "ok", actor: text("uid"), target: text("app_id"), ..Entry::default() };
    batch.push(call.audit_where(AUDIT, entry, &[&own, decision]));
    let results = call.platform.sql().batch(batch).await?;
    match results.first().is_some_and(|rows| !rows.is_empty()) {
        true => Reply::json(&json!({})),
        false => Err(not_open()),
    }
}

const AUDIT: &str = tmcp_http::audit_where!("EXISTS (SELECT 1 FROM device_codes WHERE decided_by = ?10 AND decision = ?11)");
