//! POST /internal/clients: keeps an OAuth client, whole, as ops has checked it for the operator.

use crate::{family, sql};
use serde_json::{Value, json};
use tmcp_http::audit::Entry;
use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::{Platform, Sql, stmt};
use tmcp_protocol::Scope;

/// What only official apps may do lasts for a day where it was granted: an app that may no longer loses it now. What if it dies? The
/// operator was not answered, and registers once more.
async fn end_privileged<P: Platform>(call: &Call<P>, client: &str, kept: &str) -> Result<(), Failure> {
    let is_lost = |scope: &&Scope| scope.is_official_only() && !kept.split(' ').any(|name| name == scope.as_str());
    let lost = json!(Scope::ALL.iter().filter(is_lost).map(|scope| scope.as_str()).collect::<Vec<_>>()).to_string();
    let mut last = String::new();
    while let Some(end) = family::end_families(call, stmt!(sql::END_PRIVILEGED, client, lost.as_str(), call.now(), last)).await? {
        last = end;
    }
    Ok(())
}

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
    let kept = text("scopes").filter(|_| flag("official")).unwrap_or_default();
    end_privileged(&call, text("client_id").unwrap_or_default(), kept).await?;
    Reply::json(&json!({}))
}
