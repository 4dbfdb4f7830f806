//! Who the client is (RFC 6749 section 2.3): public ones by id, confidential ones by `client_secret_basic` or `client_secret_post`.

use crate::sql::{self, ClientRow};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header;
use tmcp_http::body::Form;
use tmcp_http::call::percent_decode;
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

fn refused(cause: &'static str) -> Failure {
    Failure::oauth("invalid_client", 401, "the client is unknown or did not authenticate")
        .header(header::WWW_AUTHENTICATE, "Basic realm=\"tmcp\"")
        .because(cause)
}

/// Id and secret of a Basic header: each form-encoded before it was joined (RFC 6749 section 2.3.1).
fn basic<P: Platform>(call: &Call<P>) -> Result<Option<(String, String)>, Failure> {
    let Some(value) = call.headers.get(header::AUTHORIZATION) else { return Ok(None) };
    let text = value.to_str().ok().and_then(|text| text.split_once(' '));
    let Some(("Basic" | "basic", encoded)) = text else { return Err(refused("another scheme than Basic")) };
    let pair = STANDARD.decode(encoded.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let decode = |part: &str| percent_decode(&part.replace('+', " "));
    pair.as_deref()
        .and_then(|pair| pair.split_once(':'))
        .and_then(|(id, secret)| Some((decode(id)?, decode(secret)?)))
        .map(Some)
        .ok_or_else(|| refused("malformed Basic header"))
}

/// The client of a request, authenticated as its kind demands.
pub async fn authenticate<P: Platform>(call: &Call<P>, form: &Form) -> Result<ClientRow, Failure> {
    let (id, secret) = match basic(call)? {
        Some((id, secret)) if form.get("client_secret").is_none() && form.get("client_id").is_none_or(|other| other == id) => {
            (id, Some(secret))
        }
        Some(_) => return Err(Failure::oauth("invalid_request", 400, "the client authenticates in two ways at once")),
        None => (form.require("client_id")?.to_owned(), form.get("client_secret").map(str::to_owned)),
    };
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
