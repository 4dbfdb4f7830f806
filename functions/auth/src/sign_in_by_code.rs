//! POST /api/v1/auth/oauth: sign in without Matrix, for native apps: the app sent the person to the provider itself, with PKCE and a
//! nonce, and brings the code. Body: `provider!`, `code!`, `code_verifier!`, `redirect_uri!` (one that the operator allowed for the
//! provider), `nonce!`, `iss` if one came with the code, and `cancel_deletion`, `"true"` by somebody who asked to be erased and stays.
//!
//! | answer | when |
//! |---|---|
//! | 200 | a platform token of an hour, and the user, who may have no Matrix id |
//! | 400 `INVALID_REQUEST` | a member is missing, or no text |
//! | 401 `INVALID_CREDENTIALS` | the code proves nothing; one message for all reasons |
//! | 404 `NOT_FOUND` | no such provider |
//! | 429, 503 | as with Matrix |

use crate::sign_in::{self, kept};
use serde_json::{Map, json};
use tmcp_http::cors::Reader;
use tmcp_http::{Call, Failure, Reply, people};
use tmcp_ports::Platform;
use tmcp_protocol::ErrorCode;
use tmcp_protocol::routes::INTERNAL_REDEEM;

/// What has to be there.
const NEEDED: [&str; 5] = ["provider", "code", "code_verifier", "redirect_uri", "nonce"];

/// The handler.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    call.answer_is_for(Reader::Host);
    let body = call.members()?;
    let mut code = Map::new();
    for name in NEEDED {
        code.insert(name.to_owned(), body.required(name, kept)?.into());
    }
    for name in ["iss", "cancel_deletion"] {
        code.insert(name.to_owned(), body.text(name, kept)?.unwrap_or_default().into());
    }
    let verified = people::verify(&call, &INTERNAL_REDEEM, json!(code)).await?;
    let no_proof = || Failure::new(ErrorCode::InvalidCredentials, "the code does not prove who you are");
    sign_in::issue(&call, verified.ok_or_else(no_proof)?).await
}
