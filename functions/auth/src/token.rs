//! POST /oauth2/token (TMCP 1.3; RFC 6749 section 3.2): one file per grant. Errors are RFC 6749's.

use crate::mint::Minted;
use crate::{client, client_credentials, code, device_grant, exchange, refresh};
use serde::Serialize;
use tmcp_http::people::Names;
use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::Platform;
use tmcp_protocol::client::Grant;
use tmcp_protocol::{MatrixUserId, Scope, ScopeSet};

/// A grant's good answer.
pub struct Issued {
    /// The TEP.
    pub minted: Minted,
    /// The refresh token; of a privileged one nobody is told it.
    pub refresh_token: String,
    /// What was granted.
    pub scope: ScopeSet,
    /// Whose it is.
    pub person: Names,
    /// Whether it came from a token exchange.
    pub exchanged: bool,
}

impl Issued {
    fn reply(self, official: bool) -> Result<Reply, Failure> {
        let until = self.minted.privileged_until;
        let preapproved = |scope: &Scope| !scope.needs_consent(true);
        Reply::json(&Body {
            access_token: self.minted.token,
            token_type: "Bearer",
            expires_in: self.minted.expires_in,
            refresh_token: until.is_none().then_some(self.refresh_token),
            user_id: self.person.matrix()?,
            wallet_id: &self.person.wallet_id,
            delegated_session: self.exchanged.then_some(true),
            issued_token_type: self.exchanged.then_some("urn:ietf:params:oauth:token-type:access_token"),
            preapproved_scopes: official.then(|| self.scope.iter().filter(preapproved).map(Scope::as_str).collect()),
            privileged: official.then_some(until.is_some()),
            privileged_until: until,
            scope: self.scope,
        })
    }
}

/// What is answered (TMCP 1.3); the last three of official apps alone.
#[derive(Serialize)]
struct Body<'a> {
    access_token: String,
    token_type: &'static str,
    expires_in: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    scope: ScopeSet,
    user_id: &'a MatrixUserId,
    wallet_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    delegated_session: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    issued_token_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    preapproved_scopes: Option<Vec<&'static str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    privileged: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    privileged_until: Option<i64>,
}

/// The handler.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let form = call.form()?;
    let grant = Grant::parse(form.require("grant_type")?)
        .ok_or_else(|| Failure::oauth("unsupported_grant_type", 400, "this grant type is not supported"))?;
    let client = client::authenticate(&call, &form).await?;
    if !client.may_use(grant) {
        return Err(Failure::oauth("unauthorized_client", 400, "the client is not registered for this grant type"));
    }
    let issued = match grant {
        Grant::ClientCredentials => return client_credentials::grant(&call, &form, &client).await,
        Grant::AuthorizationCode => code::grant(&call, &form, &client).await?,
        Grant::DeviceCode => device_grant::grant(&call, &form, &client).await?,
        Grant::TokenExchange => exchange::grant(&call, &form, &client).await?,
        Grant::RefreshToken => refresh::grant(&call, &form, &client).await?,
    };
    issued.reply(client.official != 0)
}
