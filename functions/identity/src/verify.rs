//! POST /internal/verify: Matrix credentials in, the proven user out. Asked by auth.
//!
//! | answer | when |
//! |---|---|
//! | 200 | the user, found or created |
//! | 401 `invalid_matrix_credentials` | wrong, foreign, expired, replayed, a guest's, a service's: one message for all, an audit row each |
//! | 503 | the homeserver does not answer |

use crate::homeserver::{self, Homeserver};
use crate::matrix::{self, Refusal};
use crate::sql;
use crate::user;
use serde::Deserialize;
use serde_json::json;
use tmcp_http::audit::Entry;
use tmcp_http::{Call, Failure, Reply, sha256_hex};
use tmcp_ports::{Platform, Sql, stmt};
use tmcp_protocol::token::AuthLevel;
use tmcp_protocol::{ErrorCode, MatrixUserId, Secret};

#[derive(Deserialize)]
struct VerifyRequest {
    /// The claim. Without one, an access token's homeserver is the only one that is configured.
    matrix_user_id: Option<MatrixUserId>,
    access_token: Option<Secret>,
    openid_token: Option<OpenIdToken>,
    /// Where the sign-in came from, truncated.
    address: Option<String>,
}

#[derive(Deserialize)]
struct OpenIdToken {
    access_token: Secret,
    matrix_server_name: String,
}

/// The handler.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let request: VerifyRequest = call.message()?;
    let claim = request.matrix_user_id.as_ref();
    let (homeserver, id, level) = match prove(&call, &request).await? {
        Ok(proven) => proven,
        Err(refusal) => return Err(refuse(&call, &request, claim, refusal).await?),
    };
    let user = user::find_or_create(&call, &homeserver, &id, request.address.clone()).await?;
    if user.status != "active" {
        return Err(refuse(&call, &request, Some(&id), Refusal::Suspended).await?);
    }
    Reply::json(&json!({
        "uid": user.uid, "status": user.status, "wallet_id": user.wallet_id, "matrix_user_id": id, "username": user.username,
        "display_name": user.display_name, "avatar_url": user.avatar_url, "provider": "matrix", "level": level,
    }))
}

type Proven = (Homeserver, MatrixUserId, AuthLevel);

async fn prove<P: Platform>(call: &Call<P>, request: &VerifyRequest) -> Result<Result<Proven, Refusal>, Failure> {
    let claim = request.matrix_user_id.as_ref();
    if claim.is_some_and(is_a_services) {
        return Ok(Err(Refusal::ApplicationService));
    }
    let token = request.access_token.as_ref().or(request.openid_token.as_ref().map(|token| &token.access_token));
    if token.is_some_and(|token| !is_token(token.expose())) {
        return Ok(Err(Refusal::Token));
    }
    let Some(homeserver) = homeserver::find(call, claim.map(MatrixUserId::server)).await? else {
        return Ok(Err(Refusal::UnknownHomeserver));
    };
    match (&request.access_token, &request.openid_token, claim) {
        (Some(token), None, claim) => {
            let proven = matrix::whoami(call, &homeserver, claim, token).await?;
            Ok(proven.map(|id| (homeserver, id, AuthLevel::Full)))
        }
        (None, Some(token), Some(claim)) => {
            Ok(prove_openid(call, &homeserver, claim, token).await?.map(|()| (homeserver, claim.clone(), AuthLevel::Openid)))
        }
        _ => Err(Failure::invalid("give matrix_user_id and either access_token or openid_token")),
    }
}

async fn prove_openid<P: Platform>(
    call: &Call<P>,
    homeserver: &Homeserver,
    claim: &MatrixUserId,
    token: &OpenIdToken,
) -> Result<Result<(), Refusal>, Failure> {
    if token.matrix_server_name != claim.server() {
        return Ok(Err(Refusal::AnotherUser));
    }
    if let Err(refusal) = matrix::openid_userinfo(call, homeserver, claim, &token.access_token).await? {
        return Ok(Err(refusal));
    }
    // Only a token that holds is remembered: anything else would let strangers fill the table.
    let hash = sha256_hex(format!("{}\n{}", homeserver.instance, token.access_token.expose()));
    let statement = stmt!(sql::SEE_OPENID, hash, sql::openid_memory(call.now()));
    let first = !call.platform.sql().query(statement).await?.is_empty();
    Ok(if first { Ok(()) } else { Err(Refusal::Replayed) })
}

/// Visible ASCII, as RFC 6750 section 2.1 has it: anything else is no token, and could not be sent in a header.
fn is_token(text: &str) -> bool {
    (1..=4096).contains(&text.len()) && text.bytes().all(|b| (0x21..=0x7e).contains(&b))
}

/// The namespaces of our own Application Service (TMCP 6.1): bots, never people.
pub(crate) fn is_a_services(id: &MatrixUserId) -> bool {
    let local = id.localpart();
    local == "_tmcp" || local.starts_with("_tmcp_") || local.starts_with("ma_")
}

/// One audit row, and one answer for all.
async fn refuse<P: Platform>(
    call: &Call<P>,
    request: &VerifyRequest,
    id: Option<&MatrixUserId>,
    refusal: Refusal,
) -> Result<Failure, Failure> {
    let detail = Some(json!({ "reason": refusal.to_string() }));
    let (target, address) = (id.map(MatrixUserId::as_str), request.address.clone());
    let entry = Entry { action: "sign_in.matrix", outcome: "refused", target, address, detail, ..Entry::default() };
    call.platform.sql().query(call.audit(entry)).await?;
    let message = "the Matrix credentials do not prove who you are";
    Ok(Failure::new(ErrorCode::InvalidMatrixCredentials, message).because(refusal.to_string()))
}
