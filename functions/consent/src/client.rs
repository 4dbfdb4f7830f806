//! What a client registered, as auth keeps it.

use serde::Deserialize;
use serde_json::json;
use tmcp_http::{Call, Failure};
use tmcp_ports::Platform;
use tmcp_protocol::client::Grant;
use tmcp_protocol::routes::INTERNAL_CLIENT;
use tmcp_protocol::{AppId, ClientId, Scope, ScopeSet};

/// An active client's row.
#[derive(Deserialize)]
struct Row {
    client_id: ClientId,
    app_id: AppId,
    name: String,
    developer: Option<String>,
    icon_url: Option<String>,
    official: i64,
    scopes: ScopeSet,
    redirect_uris: String,
    grants: String,
}

/// An active client.
#[derive(Debug, Clone)]
pub struct Client {
    /// Its id.
    pub client_id: ClientId,
    /// The mini-app that it belongs to.
    pub app_id: AppId,
    /// What it is called.
    pub name: String,
    /// Who made it.
    pub developer: Option<String>,
    /// Its picture.
    pub icon_url: Option<String>,
    /// Whether it is an official app.
    pub official: bool,
    /// What the app may ask for.
    pub scopes: ScopeSet,
    /// Exact addresses where codes may go.
    pub redirect_uris: Vec<String>,
    /// Whether it may use the authorization code grant.
    pub code_grant: bool,
}

impl Client {
    /// Whether the app may ask for a scope.
    pub fn may_ask_for(&self, scope: Scope) -> bool {
        self.scopes.allow(scope, self.official)
    }
}

fn list(json: &str) -> Result<Vec<String>, Failure> {
    serde_json::from_slice(json.as_bytes()).map_err(|error| Failure::internal(error.to_string()))
}

/// Asks auth; `None` where there is no such client, or it is disabled.
pub async fn look_up<P: Platform>(call: &Call<P>, client_id: &str) -> Result<Option<Client>, Failure> {
    let row: Row = match call.ask(&INTERNAL_CLIENT, &json!({ "client_id": client_id })).await? {
        Ok(row) => row,
        Err(refused) if refused.status == 404 => return Ok(None),
        Err(refused) => return Err(refused.into()),
    };
    Ok(Some(Client {
        client_id: row.client_id,
        app_id: row.app_id,
        name: row.name,
        developer: row.developer,
        icon_url: row.icon_url,
        official: row.official != 0,
        scopes: row.scopes,
        redirect_uris: list(&row.redirect_uris)?,
        code_grant: list(&row.grants)?.iter().any(|name| name == Grant::AuthorizationCode.as_str()),
    }))
}
