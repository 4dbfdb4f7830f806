//! POST /internal/agreed and /internal/take-back, for account's page: which apps a person let in, and taking it back.

use crate::client;
use crate::sql::{self, ConsentRow};
use crate::take_back::{self, Taken};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::{Platform, Sql, stmt};
use tmcp_protocol::routes::INTERNAL_APPS;
use tmcp_protocol::{AppId, MatrixUserId, Millis, Scope, Uid};

/// An app, for the page.
#[derive(Serialize)]
struct Entry {
    id: String,
    name: String,
    since: Millis,
    scopes: Vec<String>,
}

/// An app that holds sessions, as auth knows it.
#[derive(Deserialize)]
struct SessionsRow {
    app_id: String,
    name: Option<String>,
    since: Millis,
}

#[derive(Deserialize)]
struct Whose {
    uid: Uid,
}

/// POST /internal/agreed
pub async fn list<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let Whose { uid } = call.message()?;
    let rows: Vec<ConsentRow> = call.platform.sql().rows(stmt!(sql::ALL_CONSENTS, uid.as_str())).await?;
    let mut apps: Vec<Entry> = Vec::new();
    for row in rows {
        let what = Scope::parse(&row.scope).map_or(row.scope.clone(), |scope| scope.description().to_owned());
        match apps.last_mut() {
            Some(app) if app.id == row.app_id.as_str() => app.scopes.push(what),
            _ => {
                let client = client::look_up(&call, row.client_id.as_str()).await?;
                let name = client.map_or_else(|| row.app_id.to_string(), |client| client.name);
                apps.push(Entry { id: row.app_id.to_string(), name, since: row.approved_at, scopes: vec![what] });
            }
        }
    }
    // Apps with sessions that nobody had to be asked about.
    let sessions: Vec<SessionsRow> = call.ask(&INTERNAL_APPS, &json!({ "uid": uid })).await??;
    for row in sessions {
        if !apps.iter().any(|app| app.id == row.app_id) {
            let name = row.name.unwrap_or_else(|| row.app_id.clone());
            let scopes = vec!["Know who you are, and keep data for you".to_owned()];
            apps.push(Entry { id: row.app_id, name, since: row.since, scopes });
        }
    }
    Reply::json(&apps)
}

#[derive(Deserialize)]
struct Back {
    uid: Uid,
    matrix_user_id: Option<MatrixUserId>,
    app_id: AppId,
}

/// POST /internal/take-back
pub async fn take_back<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let Back { uid, matrix_user_id, app_id } = call.message()?;
    let taken =
        Taken { uid: &uid, matrix_user_id: matrix_user_id.as_ref(), app: &app_id, scopes: None, reason: "user_initiated" };
    let scopes = take_back::take_back(&call, taken).await?;
    Reply::json(&scopes)
}
