//! POST /internal/export/storage: what a person keeps here, value for value, in portions; by app and key.

use crate::namespace::Namespace;
use crate::read::{self, Budget};
use crate::sql::{self, Entry, Place};
use serde::Deserialize;
use serde_json::json;
use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::{Platform, Sql, stmt};
use tmcp_protocol::{AppId, Uid};

#[derive(Deserialize)]
struct Portion {
    uid: Uid,
    /// The last one of the portion before: `[app, key]`.
    after: Option<(String, String)>,
}

/// The handler.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let Portion { uid, after } = call.message()?;
    let (app, key) = after.unwrap_or_default();
    let found = call.platform.sql().query(stmt!(sql::EXPORT, uid.as_str(), app, key, call.now())).await?;
    let mut budget = Budget::new();
    let (mut rows, mut next) = (Vec::new(), None);
    for row in found {
        let Place { app } = row.clone().decode()?;
        let entry: Entry = row.read()?;
        if !budget.takes(&entry) {
            break;
        }
        next = Some((app.clone(), entry.key.clone()));
        let namespace = Namespace {
            uid: uid.clone(),
            app: AppId::parse(app.as_str()).map_err(|error| Failure::internal(error.to_string()))?,
        };
        let (key, times) = (entry.key.clone(), (entry.created_at.rfc3339(), entry.updated_at.rfc3339()));
        let shown = |value: Option<String>| {
            json!({"miniapp_id": app, "key": key, "value": value, "unreadable": value.is_none(), "created_at": times.0,
                "updated_at": times.1, "expires_at": entry.expires_at.map(tmcp_protocol::Millis::rfc3339),
                "content_type": entry.content_type})
        };
        match read::values(&call.platform, &namespace, vec![entry.clone()]).await {
            // One that went meanwhile is not there any more.
            Ok(values) => rows.extend(values.into_iter().map(|(_, value)| shown(Some(value)))),
            // One value that cannot be read does not keep the person from the others.
            Err(failure) => {
                call.note(failure.cause().unwrap_or_default());
                rows.push(shown(None));
            }
        }
    }
    Reply::json(&json!({"rows": rows, "next": next}))
}
