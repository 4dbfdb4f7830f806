//! POST /internal/apps: the apps that hold sessions of a person, for the account's page; with `all`, those
//! whose sessions were ended, too, for who has to tell every subject of the person something. Rows as they lie there.

use crate::{mint, sql};
use serde_json::{Value, json};
use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::{Platform, Row, Sql, stmt};

/// The handler.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let question: Value = call.message()?;
    let uid = question.get("uid").and_then(Value::as_str);
    // A family's last access token may outlive it.
    let all = question.get("all").and_then(Value::as_bool).unwrap_or_default();
    let since = if all { call.now().plus(-mint::MAX_LIFETIME_S * 1000) } else { call.now() };
    let rows = call.platform.sql().query(stmt!(sql::APPS, uid, since, i64::from(all))).await?;
    Reply::json(&json!(rows.into_iter().map(Row::decode::<Value>).collect::<Result<Vec<_>, _>>()?))
}
