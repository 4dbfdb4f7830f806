//! POST /oauth2/developer/token (TMCP 1.12; RFC 6749 section 3.2), for the console alone: `authorization_code` (`code!`, `redirect_uri!`,
//! `code_verifier!`) and `refresh_token` (`refresh_token!`), each with the console's id and secret.
//!
//! | answer | when |
//! |---|---|
//! | 200 | `access_token` (`dev.…`), `refresh_token`, `expires_in`; for a code `developer_id`, `roles`, `organizations`, too |
//! | 400 `invalid_grant` | code or refresh token: unknown, over, used; signed out since |
//! | 400 `invalid_request`, `unsupported_grant_type` | a parameter is missing or twice; another grant |
//! | 401 `invalid_client` | not the console |
//! | 403 `developer_not_whitelisted` | the person is not on the list |

use crate::{code, console, refresh};
use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::Platform;

/// The refusal of a code or refresh token; why goes to the log only.
pub fn invalid_grant(cause: &'static str) -> Failure {
    Failure::oauth("invalid_grant", 400, "the code or refresh token does not hold").because(cause)
}

/// The refusal of somebody who is not on the list.
pub fn not_whitelisted() -> Failure {
    Failure::oauth("developer_not_whitelisted", 403, "this person is not on the list of developers")
}

/// The handler.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let form = call.form()?;
    let grant = form.require("grant_type")?;
    console::authenticate(&call, &form)?;
    match grant {
        "authorization_code" => code::grant(&call, &form).await,
        "refresh_token" => refresh::grant(&call, &form).await,
        _ => Err(Failure::oauth("unsupported_grant_type", 400, "this grant type is not supported here")),
    }
}
