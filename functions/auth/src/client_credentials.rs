//! The client credentials grant (RFC 6749 section 4.4): an app's backend gets a token of its own. It stands for no person, so it has no
//! scope and no route of a person's takes it, and it comes without a refresh token: the secret is one.
//!
//! | answer | when |
//! |---|---|
//! | 200 | a client token (`tep_client_token`) |
//! | 400 `invalid_scope` | a scope was asked for: every scope is about a person |
//! | 401 `invalid_client` | a public client |
//! | 429 | too many of this client |

use crate::client;
use crate::mint;
use crate::sql::ClientRow;
use serde_json::json;
use tmcp_http::audit::Entry;
use tmcp_http::body::Form;
use tmcp_http::cors::Reader;
use tmcp_http::subject::SubjectId;
use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::{Platform, Sql};
use tmcp_protocol::limits::LimitClass;

/// Grants it.
pub async fn grant<P: Platform>(call: &Call<P>, form: &Form, client: &ClientRow) -> Result<Reply, Failure> {
    client::is_confidential(client)?;
    call.answer_is_for(Reader::Client(client.client_id.to_string()));
    call.is_about(None, Some(client.app_id.as_str()));
    if form.get("scope").is_some() {
        return Err(Failure::oauth("invalid_scope", 400, "a client token has no scope: every scope is about a person"));
    }
    let subject = SubjectId::client(&client.client_id);
    let generation = call.enter(&subject, LimitClass::TokenGeneration, None).await?;
    let generation = generation.ok_or_else(|| Failure::internal("a new token was ended"))?;
    let access_token = mint::client_token(call, client, generation).await?;
    let (actor, target) = (Some(client.client_id.as_str()), Some(client.app_id.as_str()));
    let entry = Entry { action: "token.client", outcome: "ok", actor, target, ..Entry::default() };
    call.platform.sql().query(call.audit(entry)).await?;
    Reply::json(&json!({
        "access_token": access_token, "token_type": "Bearer", "expires_in": mint::lifetime_s(&call.platform)?, "scope": "",
    }))
}
