//! The device grant's polls (RFC 8628 sections 3.4 and 3.5).
//!
//! | answer | when |
//! |---|---|
//! | 200 | the person allowed it: TEP and refresh token, once |
//! | 400 `authorization_pending` | nobody has decided yet |
//! | 400 `slow_down` | asked too soon: from now on five seconds more between two polls |
//! | 400 `access_denied` | the person refused |
//! | 400 `expired_token` | the fifteen minutes are over |
//! | 400 `invalid_grant` | unknown, another client's, used |
//!
//! The races: of two polls at once one moves the time of the last poll, and the other is told to slow down. What was allowed is a code
//! like any other, and used up as such.

use crate::code;
use crate::sql::{self, ClientRow, CodeRow, DeviceRow};
use crate::token::Issued;
use tmcp_http::body::Form;
use tmcp_http::cors::Reader;
use tmcp_http::{Call, Failure, sha256_hex};
use tmcp_ports::{Platform, Sql, stmt};

fn refused(error: &'static str, description: &'static str) -> Failure {
    Failure::oauth(error, 400, description)
}

/// Grants tokens for a device code, once it was allowed.
pub async fn grant<P: Platform>(call: &Call<P>, form: &Form, client: &ClientRow) -> Result<Issued, Failure> {
    call.answer_is_for(Reader::Client(client.client_id.to_string()));
    let hash = sha256_hex(form.require("device_code")?);
    let (now, client_id) = (call.now(), client.client_id.as_str());
    let poll = stmt!(sql::POLL_DEVICE, hash.as_str(), client_id, now);
    let row: Option<DeviceRow> = call.platform.sql().first(poll).await?;
    let Some(row) = row else {
        let hurried = stmt!(sql::SLOW_DEVICE, hash.as_str(), client_id, now);
        return Err(match call.platform.sql().query(hurried).await?.is_empty() {
            true => refused("invalid_grant", "the device code does not hold"),
            false => refused("slow_down", "wait five seconds more between two polls"),
        });
    };
    match row.decision.as_deref() {
        Some("refused") => Err(refused("access_denied", "the person refused")),
        _ if row.expires_at <= now => Err(refused("expired_token", "the code is over: ask for another one")),
        None => Err(refused("authorization_pending", "the person has not decided yet")),
        Some(_) => {
            let code: Option<CodeRow> = call.platform.sql().first(stmt!(sql::FIND_CODE, hash.as_str())).await?;
            let code = code.filter(|code| code.app_id == client.app_id);
            let code = code.ok_or_else(|| refused("invalid_grant", "the device code does not hold"))?;
            code::redeem(call, client, code, &hash, "token.device").await
        }
    }
}
