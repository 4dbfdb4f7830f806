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
use serde::{Deserialize, Serialize};
use serde_json::json;
use tmcp_http::cors::Reader;
use tmcp_http::people::{self, Verified};
use tmcp_http::subject::PLATFORM;
use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::Platform;
use tmcp_protocol::routes::INTERNAL_VERIFY;
use tmcp_protocol::{ErrorCode, MatrixUserId};

#[derive(Deserialize)]
struct SignInRequest {
    matrix_user_id: MatrixUserId,
    access_token: Option<String>,
    openid_token: Option<OpenIdToken>,
    #[serde(default)]
    cancel_deletion: bool,
}

/// A Matrix OpenID token, as `…/openid/request_token` gives it.
#[derive(Deserialize, Serialize)]
pub struct OpenIdToken {
    access_token: String,
    matrix_server_name: String,
}

/// The handler.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    call.answer_is_for(Reader::Host);
    let request: SignInRequest = call.json()?;
    if request.access_token.is_some() == request.openid_token.is_some() {
        return Err(Failure::invalid("give either access_token or openid_token"));
    }
    let credentials = json!({
        "matrix_user_id": request.matrix_user_id, "access_token": request.access_token, "openid_token": request.openid_token,
        "cancel_deletion": request.cancel_deletion,
    });
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
