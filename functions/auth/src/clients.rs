//! POST /internal/clients: keeps an OAuth client, whole, as ops has checked it for the operator.

use crate::sql;
use serde_json::{Value, json};
use tmcp_http::audit::Entry;
use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::{Platform, Sql, stmt};

/// The handler.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let record: Value = call.message()?;
    let text = |name: &str| record.get(name).and_then(Value::as_str);
    let list = |name: &str| record.get(name).filter(|list| list.is_array()).map(Value::to_string);
    let flag = |name: &str| record.get(name).and_then(Value::as_bool).unwrap_or_default();
    let put = stmt!(
        sql::PUT_CLIENT,
        text("client_id"),
        text("app_id"),
        text("name"),
        text("kind"),
        text("secret_hash"),
        text("scopes"),
        list("origins"),
        flag("host"),
        flag("official"),
        list("redirect_uris"),
        list("grants"),
        text("developer"),
        text("icon_url"),
        call.now(),
    );
    let (actor, target) = (Some("operator"), text("client_id"));
    let entry = Entry { action: "client.put", outcome: "ok", actor, target, ..Entry::default() };
    call.platform.sql().batch(vec![put, call.audit(entry)]).await?;
    Reply::json(&json!({}))
}
