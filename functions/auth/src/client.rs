//! Who the client is (RFC 6749 section 2.3): public ones by id, confidential ones by `client_secret_basic` or `client_secret_post`.

use crate::sql::{self, ClientRow};
use tmcp_http::body::Form;
use tmcp_http::credentials::{self, refused};
use tmcp_http::{Call, Failure, same_secret, sha256_hex};
use tmcp_ports::{Platform, Sql, stmt};
use tmcp_protocol::client::Grant;
use tmcp_protocol::{ClientId, Scope};

impl ClientRow {
    /// Whether the app may ask for a scope.
    pub fn may_ask_for(&self, scope: Scope) -> bool {
        self.scopes.allow(scope, self.official != 0)
    }

    /// Whether the client is registered for a grant.
    pub fn may_use(&self, grant: Grant) -> bool {
        serde_json::from_slice::<Vec<String>>(self.grants.as_bytes())
            .is_ok_and(|names| names.iter().any(|name| name == grant.as_str()))
    }
}

/// The client of a request, authenticated as its kind demands.
pub async fn authenticate<P: Platform>(call: &Call<P>, form: &Form) -> Result<ClientRow, Failure> {
    let (id, secret) = credentials::of(call, form)?;
    let id = ClientId::parse(id).map_err(|_| refused("malformed client id"))?;
    let client: Option<ClientRow> = call.platform.sql().first(stmt!(sql::CLIENT, id.as_str())).await?;
    let client = client.ok_or_else(|| refused("unknown client"))?;
    match (&client.secret_hash, secret) {
        (None, None) => Ok(client),
        (Some(hash), Some(secret)) if same_secret(&sha256_hex(&secret), hash) => Ok(client),
        _ => Err(refused("wrong secret, or none, or one of a public client")),
    }
}

/// Refuses a public client.
pub fn is_confidential(client: &ClientRow) -> Result<(), Failure> {
    if client.secret_hash.is_some() { Ok(()) } else { Err(refused("a public client")) }
}

/// The same, for routes that take confidential clients only.
pub async fn authenticate_confidential<P: Platform>(call: &Call<P>, form: &Form) -> Result<ClientRow, Failure> {
    let client = authenticate(call, form).await?;
    is_confidential(&client).map(|()| client)
}
