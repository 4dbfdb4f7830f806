//! POST /oauth2/revoke (RFC 7009): a client gives a token back. Session, refresh family and access tokens end together.
//!
//! | answer | when |
//! |---|---|
//! | 200 | it is revoked, or was never a token |
//! | 400 `invalid_request`, `unauthorized_client` | no token; a token of another client |
//! | 401 `invalid_client` | the client did not authenticate |

use crate::client;
use crate::family;
use crate::sql::{self, TokenRow};
use tmcp_http::audit::Entry;
use tmcp_http::caller::{self, Caller};
use tmcp_http::cors::Reader;
use tmcp_http::{Call, Failure, Reply, sha256_hex};
use tmcp_ports::{Platform, Sql, stmt};
use tmcp_protocol::{AppId, ClientId, Uid};

struct Session {
    family: String,
    uid: Uid,
    app: AppId,
    client_id: ClientId,
}

/// The session behind a token of either kind.
async fn session_of<P: Platform>(call: &Call<P>, token: &str) -> Result<Option<Session>, Failure> {
    if token.starts_with("rt_") {
        let row: Option<TokenRow> = call.platform.sql().first(stmt!(sql::FIND_TOKEN, sha256_hex(token))).await?;
        return Ok(row.map(|row| Session { family: row.family, uid: row.uid, app: row.app_id, client_id: row.client_id }));
    }
    Ok(match caller::verify(&call.platform, &call.settings, token).await? {
        Ok(caller::Verified { caller: Caller::Tep(claims), .. }) => Some(Session {
            family: claims.session_id.clone(),
            uid: claims.uid.clone(),
            app: claims.aud.clone(),
            client_id: claims.client_id.clone(),
        }),
        _ => None,
    })
}

/// The handler.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let form = call.form()?;
    let client = client::authenticate(&call, &form).await?;
    call.answer_is_for(Reader::Client(client.client_id.to_string()));
    let token = form.require("token")?;
    let Some(session) = session_of(&call, token).await? else { return Reply::json(&serde_json::json!({})) };
    if session.client_id != client.client_id {
        return Err(Failure::oauth("unauthorized_client", 400, "the token was issued to another client"));
    }
    call.is_about(Some(session.uid.as_str()), Some(session.app.as_str()));
    let audit = call.audit(Entry {
        action: "token.revoke",
        outcome: "ok",
        actor: Some(session.uid.as_str()),
        target: Some(session.app.as_str()),
        ..Entry::default()
    });
    family::end(&call, &session.family, &session.uid, &session.app, audit).await?;
    Reply::json(&serde_json::json!({}))
}
