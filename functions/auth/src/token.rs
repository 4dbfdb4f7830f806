//! POST /oauth2/token (TMCP 1.3; RFC 6749 section 3.2): one file per grant. Errors are RFC 6749's.

use crate::{client, client_credentials, code, device_grant, exchange, refresh};
use serde_json::json;
use tmcp_http::people::Names;
use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::Platform;
use tmcp_protocol::ScopeSet;
use tmcp_protocol::client::Grant;

/// A grant's good answer.
pub struct Issued {
    /// The TEP.
    pub access_token: String,
    /// Its life in seconds.
    pub expires_in: i64,
    /// The refresh token.
    pub refresh_token: String,
    /// What was granted.
    pub scope: ScopeSet,
    /// Whose it is.
    pub person: Names,
    /// Whether it came from a token exchange.
    pub exchanged: bool,
}

impl Issued {
    fn reply(self) -> Result<Reply, Failure> {
        let mut body = json!({
            "access_token": self.access_token, "token_type": "Bearer", "expires_in": self.expires_in,
            "refresh_token": self.refresh_token, "scope": self.scope, "user_id": self.person.matrix()?, "wallet_id": self.person.wallet_id,
        });
        if let (true, Some(body)) = (self.exchanged, body.as_object_mut()) {
            body.insert("delegated_session".to_owned(), json!(true));
            body.insert("issued_token_type".to_owned(), json!("urn:ietf:params:oauth:token-type:access_token"));
        }
        Reply::json(&body)
    }
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
    issued.reply()
}
