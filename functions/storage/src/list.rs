//! GET /api/v1/storage?prefix=&limit=&cursor= (TMCP part 3; part 12, row 56). Scope `storage:read`.
//!
//! Keys in byte order, without values. `cursor` is the `next_cursor` of the page before.

use crate::namespace::Namespace;
use crate::sql;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::json;
use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::{Platform, Sql, stmt};
use tmcp_protocol::Millis;
use tmcp_protocol::storage::{MAX_KEY_BYTES, successor};

const DEFAULT_LIMIT: i64 = 100;
const MAX_LIMIT: i64 = 1000;

#[derive(Deserialize)]
struct KeyRow {
    key: String,
    size: i64,
    updated_at: Millis,
    expires_at: Option<Millis>,
}

/// A `limit` parameter from 1 to `max`.
pub fn limit_of(text: Option<&str>, default: i64, max: i64) -> Result<i64, Failure> {
    let Some(text) = text else { return Ok(default) };
    let limit = text.parse().ok().filter(|limit| (1..=max).contains(limit));
    limit.ok_or_else(|| Failure::invalid(format!("limit must be a whole number from 1 to {max}")))
}

/// The handler.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let namespace = Namespace::of(&call)?;
    let limit = limit_of(call.parameter("limit").as_deref(), DEFAULT_LIMIT, MAX_LIMIT)?;
    let prefix = call.parameter("prefix").unwrap_or_default();
    if prefix.len() > MAX_KEY_BYTES {
        return Err(Failure::invalid("prefix is longer than a key can be"));
    }
    let after = call.parameter("cursor").map(|cursor| decode(&cursor)).transpose()?;
    let (uid, app) = (namespace.uid.as_str(), namespace.app.as_str());
    let end = successor(&prefix);
    let statement = stmt!(sql::LIST, uid, app, call.now(), prefix, after, end, limit + 1);
    let mut rows: Vec<KeyRow> = call.platform.sql().rows(statement).await?;
    let page = usize::try_from(limit).unwrap_or(usize::MAX);
    let has_more = rows.len() > page;
    rows.truncate(page);
    let next_cursor = rows.last().filter(|_| has_more).map(|row| URL_SAFE_NO_PAD.encode(&row.key));
    let keys: Vec<_> = rows
        .iter()
        .map(|row| {
            json!({
                "key": row.key, "size_bytes": row.size, "updated_at": row.updated_at.rfc3339(),
                "expires_at": row.expires_at.map(Millis::rfc3339),
            })
        })
        .collect();
    Reply::json(&json!({"keys": keys, "pagination": {"limit": limit, "has_more": has_more, "next_cursor": next_cursor}}))
}

fn decode(cursor: &str) -> Result<String, Failure> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok();
    let key = bytes.and_then(|bytes| String::from_utf8(bytes).ok()).filter(|key| key.len() <= MAX_KEY_BYTES);
    key.ok_or_else(|| Failure::invalid("cursor is not one of a page before"))
}
