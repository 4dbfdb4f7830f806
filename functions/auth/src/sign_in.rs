//! POST /api/v1/auth/matrix: sign in with Matrix. Body: `matrix_user_id!`, and `access_token` or `openid_token{access_token!,
//! matrix_server_name!}` as the homeserver gave it; `cancel_deletion?`, by somebody who asked to be erased and stays.
//!
//! | answer | when |
//! |---|---|
//! | 200 | a platform token of an hour, and the user |
//! | 400 `INVALID_REQUEST` | neither or both tokens, a malformed id |
//! | 401 `invalid_matrix_credentials` | the credentials prove nothing; one message for all reasons |
//! | 403 | `ACCOUNT_SUSPENDED`, or `ACCOUNT_DELETION_PENDING` without `cancel_deletion` |
//! | 429 `RATE_LIMIT_EXCEEDED` | too many tries from one address, before anything is asked |
//! | 503 `SERVICE_UNAVAILABLE` | the homeserver does not answer |

use crate::mint::{self, SignedIn};
use serde_json::json;
use std::convert::Infallible;
use tmcp_http::cors::Reader;
use tmcp_http::people::{self, Verified};
use tmcp_http::subject::PLATFORM;
use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::Platform;
use tmcp_protocol::routes::INTERNAL_VERIFY;
use tmcp_protocol::{ErrorCode, MatrixUserId};

/// A text as it is.
pub fn kept(text: String) -> Result<String, Infallible> {
    Ok(text)
}

/// The handler.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    call.answer_is_for(Reader::Host);
    let body = call.members()?;
    let user = body.required("matrix_user_id", MatrixUserId::parse)?;
    let (token, openid) =
        (body.text("access_token", kept)?, body.texts("openid_token", &["access_token", "matrix_server_name"])?);
    if token.is_some() == openid.is_some() {
        return Err(Failure::invalid("give either access_token or openid_token"));
    }
    let stays = body.flag("cancel_deletion")?;
    let credentials = json!({"matrix_user_id": user, "access_token": token, "openid_token": openid, "cancel_deletion": stays});
    let verified = people::verify(&call, &INTERNAL_VERIFY, credentials)
        .await?
        .ok_or_else(|| Failure::new(ErrorCode::InvalidMatrixCredentials, "the Matrix credentials do not prove who you are"))?;
    issue(&call, verified).await
}

/// A platform token for who was proven to be there.
pub async fn issue<P: Platform>(call: &Call<P>, verified: Verified) -> Result<Reply, Failure> {
    let Verified { uid, names, provider, user, generation, proven_at } = verified;
    call.is_about(Some(uid.as_str()), Some(PLATFORM));
    let token =
        mint::platform_token(call, SignedIn { uid, names, provider, session_id: mint::session_id(call), generation, proven_at })
            .await?;
    Reply::json(&json!({
        "access_token": token, "token_type": "Bearer", "expires_in": mint::lifetime_s(&call.platform)?, "user": user,
    }))
}
