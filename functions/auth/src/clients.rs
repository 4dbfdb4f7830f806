//! POST /internal/clients: registers an OAuth client or changes it, whole. Asked by ops for the operator.
//!
//! | answer | when |
//! |---|---|
//! | 200 | it is registered; a secret that was made here is shown this once |
//! | 400 `INVALID_REQUEST` | an id, scope, origin or secret is wrong |

use crate::sql;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::json;
use tmcp_http::audit::Entry;
use tmcp_http::{Call, Failure, Reply, sha256_hex};
use tmcp_ports::{Platform, Random, Sql, stmt};
use tmcp_protocol::{AppId, ClientId, ScopeSet};

/// A secret is compared by its hash alone, so it must not be guessable.
const MIN_SECRET: usize = 32;

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Public,
    Confidential,
}

#[derive(Deserialize)]
struct ClientRequest {
    client_id: ClientId,
    app_id: AppId,
    name: String,
    kind: Kind,
    client_secret: Option<String>,
    #[serde(default)]
    scopes: Vec<String>,
    #[serde(default)]
    origins: Vec<String>,
    #[serde(default)]
    host: bool,
    #[serde(default)]
    official: bool,
}

fn check_origin(origin: &str) -> Result<(), Failure> {
    let good = url::Url::parse(origin).is_ok_and(|url| {
        let local = matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"));
        let plain = url.host_str().is_some_and(|host| host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.:[]".contains(&b)));
        plain && url.origin().ascii_serialization() == origin && (url.scheme() == "https" || (url.scheme() == "http" && local))
    });
    let message = "an origin must be https (http on this machine), without a path: https://app.example.org";
    if good { Ok(()) } else { Err(Failure::invalid(message)) }
}

/// The handler.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let request: ClientRequest = call.json()?;
    if request.name.is_empty() || request.name.len() > 100 {
        return Err(Failure::invalid("name must have 1 to 100 bytes"));
    }
    let scopes = ScopeSet::parse(&request.scopes.join(" ")).map_err(|error| Failure::invalid(error.to_string()))?;
    request.origins.iter().try_for_each(|origin| check_origin(origin))?;
    let (kind, secret, made) = match (request.kind, request.client_secret) {
        (Kind::Public, None) => ("public", None, None),
        (Kind::Public, Some(_)) => return Err(Failure::invalid("a public client has no client_secret")),
        (Kind::Confidential, Some(secret)) if secret.len() < MIN_SECRET => {
            return Err(Failure::invalid(format!("client_secret must have at least {MIN_SECRET} characters")));
        }
        (Kind::Confidential, Some(secret)) => ("confidential", Some(secret), None),
        (Kind::Confidential, None) => {
            let secret = format!("secret_{}", URL_SAFE_NO_PAD.encode(call.platform.random().bytes::<32>()));
            ("confidential", Some(secret.clone()), Some(secret))
        }
    };
    let origins = serde_json::to_string(&request.origins).map_err(|error| Failure::internal(error.to_string()))?;
    let (client_id, now) = (request.client_id.as_str(), call.now());
    let put = stmt!(
        sql::PUT_CLIENT,
        client_id,
        request.app_id.as_str(),
        request.name,
        kind,
        secret.map(sha256_hex),
        scopes.to_string(),
        origins,
        request.host,
        request.official,
        now,
    );
    let entry =
        Entry { action: "client.put", outcome: "ok", actor: Some("operator"), target: Some(client_id), ..Entry::default() };
    call.platform.sql().batch(vec![put, call.audit(entry)]).await?;
    Reply::json(&json!({"client_id": client_id, "app_id": request.app_id, "kind": kind, "client_secret": made}))
}
