//! POST /oauth2/developer/revoke (TMCP 1.12; RFC 7009): with a developer token, and `token!` one of theirs, of either kind;
//! `token_type_hint?`. Ends every session of theirs at the console.
//!
//! | answer | when |
//! |---|---|
//! | 200 | `revoked: true`, also where it was no token of theirs, which ends nothing (RFC 7009 section 2.2) |
//! | 400 `invalid_request` | no token |
//! | 401 `invalid_developer_token` | the bearer token does not hold |

use crate::{sql, standing};
use serde_json::json;
use tmcp_http::audit::Entry;
use tmcp_http::{Call, Failure, Reply, caller, sha256_hex};
use tmcp_ports::{Platform, Sql, stmt};

/// The handler.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let developer = standing::of(&call).await?;
    let form = call.form()?;
    let token = form.require("token")?;
    let own = match caller::bearer(&call.headers) {
        Some(bearer) if bearer == token => true,
        _ if token.starts_with("rt_dev_") => {
            let row: Option<sql::TokenRow> = call.platform.sql().first(stmt!(sql::FIND_TOKEN, sha256_hex(token))).await?;
            row.is_some_and(|row| row.developer == developer.id)
        }
        _ => caller::is_developers(&call.platform, &call.settings, token, call.now(), &developer.id).await?,
    };
    if own {
        let (actor, target) = (Some(developer.uid.as_str()), Some(developer.id.as_str()));
        let entry = Entry { action: "developer.revoke", outcome: "ok", actor, target, ..Entry::default() };
        let mut batch = sql::end_person(developer.uid.as_str(), call.now());
        batch.push(call.audit(entry));
        call.platform.sql().batch(batch).await?;
    }
    Reply::json(&json!({"revoked": true, "message": "the developer's sessions at the console are ended"}))
}
