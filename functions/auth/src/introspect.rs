//! POST /oauth2/introspect (RFC 7662): a confidential client asks about a token of its own app. Anything else is `active: false`.

use crate::client;
use crate::sql::{self, ClientRow, TokenRow};
use serde_json::{Value, json};
use tmcp_http::caller::{self, Caller};
use tmcp_http::cors::Reader;
use tmcp_http::subject::{self, SubjectId};
use tmcp_http::{Call, Failure, Reply, sha256_hex};
use tmcp_ports::{Platform, Sql, stmt};
use tmcp_protocol::limits::LimitClass;
use tmcp_protocol::{ClientId, ErrorCode};

/// The handler.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let form = call.form()?;
    let client = client::authenticate_confidential(&call, &form).await?;
    call.answer_is_for(Reader::Client(client.client_id.to_string()));
    let subject = SubjectId::client(&client.client_id);
    call.draw(&subject, LimitClass::TokenValidation).await?;
    let token = form.require("token")?;
    let answer = match token.starts_with("rt_") {
        true => refresh_token(&call, &client, token).await?,
        false => access_token(&call, &client, token).await?,
    };
    Reply::json(&answer.unwrap_or_else(|| json!({"active": false})))
}

async fn access_token<P: Platform>(call: &Call<P>, client: &ClientRow, token: &str) -> Result<Option<Value>, Failure> {
    let Ok(verified) = caller::verify(&call.platform, &call.settings, token, call.now()).await? else { return Ok(None) };
    let (aud, mut told) = match &verified.caller {
        Caller::Tep(claims) => {
            let person = json!({"scope": claims.scope, "sub": claims.sub, "wallet_id": claims.wallet_id});
            (&claims.aud, described(person, &claims.client_id, &claims.token_type, &claims.iss, &claims.jti))
        }
        Caller::Client(claims) => {
            let nobody = json!({"scope": "", "sub": claims.sub});
            (&claims.aud, described(nobody, &claims.client_id, &claims.token_type, &claims.iss, &claims.jti))
        }
        _ => return Ok(None),
    };
    if *aud != client.app_id {
        return Ok(None);
    }
    let Some((subject, held)) = verified.caller.subject() else { return Ok(None) };
    match subject::holds(&call.platform, &subject, held).await {
        Ok(true) => {}
        Ok(false) => return Ok(None),
        // Nothing is to be had with it for the time being.
        Err(failure) if failure.code() == ErrorCode::AccountSuspended => return Ok(None),
        Err(failure) => return Err(failure),
    }
    if let Some(told) = told.as_object_mut() {
        told.insert("exp".to_owned(), json!(verified.until.seconds()));
        told.insert("aud".to_owned(), json!(aud));
    }
    Ok(Some(told))
}

fn described(mut whom: Value, client_id: &ClientId, token_type: &str, iss: &str, jti: &str) -> Value {
    if let Some(whom) = whom.as_object_mut() {
        let all = [("client_id", client_id.as_str()), ("token_type", token_type), ("iss", iss), ("jti", jti)];
        whom.extend(all.map(|(name, value)| (name.to_owned(), json!(value))));
        whom.insert("active".to_owned(), json!(true));
    }
    whom
}

async fn refresh_token<P: Platform>(call: &Call<P>, client: &ClientRow, token: &str) -> Result<Option<Value>, Failure> {
    let row: Option<TokenRow> = call.platform.sql().first(stmt!(sql::FIND_TOKEN, sha256_hex(token))).await?;
    let Some(row) = row.filter(|row| row.app_id == client.app_id) else { return Ok(None) };
    let now = call.now();
    let active = row.used_at.is_none() && row.ended_at.is_none() && row.expires_at > now && row.ends_at > now;
    Ok(active.then(|| {
        json!({
            "active": true, "scope": row.scope, "client_id": row.client_id, "token_type": "refresh_token",
            "exp": row.expires_at.seconds(), "aud": row.app_id,
        })
    }))
}
