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

/// What a token stands for.
enum Given {
    Session { family: String, uid: Uid, app: AppId },
    Client { jti: String },
}

/// Whose token of either kind it is, and what it stands for.
async fn given<P: Platform>(call: &Call<P>, token: &str) -> Result<Option<(ClientId, Given)>, Failure> {
    if token.starts_with("rt_") {
        let row: Option<TokenRow> = call.platform.sql().first(stmt!(sql::FIND_TOKEN, sha256_hex(token))).await?;
        return Ok(row.map(|row| (row.client_id, Given::Session { family: row.family, uid: row.uid, app: row.app_id })));
    }
    Ok(match caller::verify(&call.platform, &call.settings, token, call.now()).await?.map(|verified| verified.caller) {
        Ok(Caller::Tep(claims)) => {
            let (family, uid, app) = (claims.session_id.clone(), claims.uid.clone(), claims.aud.clone());
            Some((claims.client_id.clone(), Given::Session { family, uid, app }))
        }
        Ok(Caller::Client(claims)) => Some((claims.client_id.clone(), Given::Client { jti: claims.jti.clone() })),
        _ => None,
    })
}

/// The handler.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let form = call.form()?;
    let client = client::authenticate(&call, &form).await?;
    call.answer_is_for(Reader::Client(client.client_id.to_string()));
    let token = form.require("token")?;
    let Some((owner, given)) = given(&call, token).await? else { return Reply::json(&serde_json::json!({})) };
    if owner != client.client_id {
        return Err(Failure::oauth("unauthorized_client", 400, "the token was issued to another client"));
    }
    let audit = |actor: &str, target: &str| {
        let (actor, target) = (Some(actor), Some(target));
        call.audit(Entry { action: "token.revoke", outcome: "ok", actor, target, ..Entry::default() })
    };
    match given {
        Given::Session { family, uid, app } => {
            call.is_about(Some(uid.as_str()), Some(app.as_str()));
            family::end(&call, &family, &uid, &app, audit(uid.as_str(), app.as_str())).await?;
        }
        Given::Client { jti } => {
            call.platform.sql().query(audit(owner.as_str(), client.app_id.as_str())).await?;
            family::end_token(&call, &owner, &jti).await?;
        }
    }
    Reply::json(&serde_json::json!({}))
}
