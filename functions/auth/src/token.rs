//! POST /oauth2/token (TMCP 1.3; RFC 6749 section 3.2): one file per grant. Errors are RFC 6749's.

use crate::{client, exchange, refresh};
use serde_json::json;
use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::Platform;
use tmcp_protocol::{MatrixUserId, ScopeSet};

/// The names of the grants.
const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const REFRESH: &str = "refresh_token";

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
    /// The person.
    pub user_id: MatrixUserId,
    /// Their wallet.
    pub wallet_id: String,
    /// Whether it came from a token exchange.
    pub exchanged: bool,
}

impl Issued {
    fn reply(self) -> Result<Reply, Failure> {
        let mut body = json!({
            "access_token": self.access_token, "token_type": "Bearer", "expires_in": self.expires_in,
            "refresh_token": self.refresh_token, "scope": self.scope, "user_id": self.user_id, "wallet_id": self.wallet_id,
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
    let grant = form.require("grant_type")?;
    if grant != EXCHANGE && grant != REFRESH {
        return Err(Failure::oauth("unsupported_grant_type", 400, "this grant type is not supported"));
    }
    let client = client::authenticate(&call, &form).await?;
    let issued = if grant == EXCHANGE {
        exchange::grant(&call, &form, &client).await?
    } else {
        refresh::grant(&call, &form, &client).await?
    };
    issued.reply()
}
