//! POST /internal/code: issues an authorization code, for account, which has asked the person and checked the request. A code lives a
//! minute, and is kept by its hash.

use crate::{mint, sql};
use serde_json::{Value, json};
use tmcp_http::audit::Entry;
use tmcp_http::{Call, Failure, Reply, sha256_hex};
use tmcp_ports::{Platform, Sql, stmt};

/// A code lives so long (TMCP 1.2; RFC 6749 section 4.1.2 allows ten minutes).
const LIFE_MS: i64 = 60_000;

/// The handler.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let request: Value = call.message()?;
    let text = |name: &str| request.get(name).and_then(Value::as_str);
    let code = format!("auth_{}", call.secret());
    let now = call.now();
    let put = stmt!(
        sql::PUT_CODE,
        sha256_hex(&code),
        text("client_id"),
        text("app_id"),
        text("uid"),
        text("subject"),
        text("scope"),
        text("redirect_uri"),
        text("challenge"),
        mint::session_id(&call),
        text("platform_session"),
        request.get("generation").and_then(Value::as_i64),
        now,
        now.plus(LIFE_MS),
    );
    let detail = Some(json!({"client_id": text("client_id"), "scope": text("scope")}));
    let (actor, target) = (text("uid"), text("app_id"));
    let entry = Entry { action: "code.issue", outcome: "ok", actor, target, detail, ..Entry::default() };
    call.platform.sql().batch(vec![put, call.audit(entry)]).await?;
    Reply::json(&json!({ "code": code }))
}
