//! The configured providers, and POST /internal/providers, for account: whom a person can sign in with.

use serde_json::{Value, json};
use std::sync::Arc;
use tmcp_http::settings::{InvalidSetting, remembered};
use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::{Config, Platform};
use tmcp_protocol::ErrorCode;
use tmcp_protocol::provider::{self, Kind, Provider};

/// All of them, in the order of the sign-in page.
pub fn all(platform: &impl Platform) -> Result<Arc<Vec<Provider>>, InvalidSetting> {
    remembered(platform, "providers", |platform| {
        let Some(json) = platform.config().get("PROVIDERS") else { return Ok(Vec::new()) };
        let wrong = |problem| InvalidSetting { name: "PROVIDERS", problem };
        let all = provider::parse(json.expose()).map_err(wrong)?;
        // A mail is printed where nobody is meant but who develops.
        let is_local = platform.config().get("ISSUER").is_some_and(|issuer| {
            let host = issuer.expose().strip_prefix("http://").and_then(|rest| rest.split([':', '/']).next());
            matches!(host, Some("127.0.0.1" | "localhost"))
        });
        let silent = all.iter().find(|one| matches!(&one.kind, Kind::Email(mail) if mail.endpoint.is_none()));
        match silent {
            Some(one) if !is_local => Err(wrong(format!("provider `{}`: endpoint is missing, by which mail is sent", one.id))),
            _ => Ok(all),
        }
    })
}

/// The provider of that id, or 404.
pub fn find<P: Platform>(call: &Call<P>, id: &str) -> Result<Provider, Failure> {
    let found = all(&call.platform)?.iter().find(|provider| provider.id == id).cloned();
    found.ok_or_else(|| Failure::new(ErrorCode::NotFound, "there is no such provider to sign in with"))
}

/// POST /internal/providers: the id and name of each, and which identities are signed in with there: those of an instance, or the Matrix
/// ids of a server.
pub async fn offered<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let shown = |one: &Provider| {
        let server = match &one.kind {
            Kind::Matrix(server, _) => Some(server.as_str()),
            _ => None,
        };
        json!({"id": one.id, "name": one.name, "instance": one.instance(), "server": server})
    };
    let all = all(&call.platform)?;
    Reply::json(&all.iter().map(shown).collect::<Vec<Value>>())
}
