//! POST /internal/verify: Matrix credentials in, the proven user out. Asked by auth and account. Credentials are an access token or an
//! OpenID token.
//!
//! | answer | when |
//! |---|---|
//! | 200 | the user, found or created |
//! | 401 `invalid_matrix_credentials` | wrong, foreign, expired, replayed, a guest's, a service's: one message for all, an audit row each |
//! | 403 | `ACCOUNT_SUSPENDED`, or `ACCOUNT_DELETION_PENDING` without `cancel_deletion` |
//! | 503 | the homeserver does not answer |

use crate::user::{self, Proof};
use crate::{looking, sql};
use serde::Deserialize;
use tmcp_http::{Call, Failure, Reply, sha256_hex};
use tmcp_ports::{Platform, Sql, stmt};
use tmcp_proof::matrix::{self, is_a_services};
use tmcp_proof::{Homeserver, Proven, Refusal, is_token};
use tmcp_protocol::token::AuthLevel;
use tmcp_protocol::{ErrorCode, MatrixUserId, Millis, Secret};

#[derive(Deserialize)]
struct VerifyRequest {
    /// The claim. Without one, an access token's homeserver is the only one that is configured.
    matrix_user_id: Option<MatrixUserId>,
    access_token: Option<Secret>,
    openid_token: Option<OpenIdToken>,
    /// Whether somebody who asked to be erased stays.
    #[serde(default)]
    cancel_deletion: bool,
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
    let claim = request.matrix_user_id.as_ref().map_or("", MatrixUserId::as_str);
    let address = request.address.as_deref();
    let (proven, level) = match prove(&call, &request).await? {
        Ok(proven) => proven,
        Err(refusal) => {
            tmcp_proof::audit(&call, ("matrix", None), claim, &refusal, address.map(str::to_owned)).await?;
            return Err(no_proof(&refusal));
        }
    };
    let user = user::known(&call, &proven).await?;
    let (uid, id, looked_at) = (user.uid.clone(), user.matrix_user_id.clone(), user.looked_at);
    let proof = Proof { called: "", level, address, stays: request.cancel_deletion };
    let reply = Reply::json(&user::answer(&call, user, &proven, proof).await?)?;
    looking::after(call, uid, id, looked_at);
    Ok(reply)
}

/// One answer for all.
fn no_proof(refusal: &Refusal) -> Failure {
    let message = "the credentials do not prove who you are";
    Failure::new(ErrorCode::InvalidMatrixCredentials, message).because(refusal.to_string())
}

/// A person of a homeserver.
fn of_homeserver(homeserver: &Homeserver, id: &MatrixUserId, now: Millis) -> Proven {
    Proven {
        instance: homeserver.instance.clone(),
        external_id: id.to_string(),
        kind: "matrix".to_owned(),
        username: id.localpart().to_owned(),
        display_name: None,
        email: None,
        // Whoever has the token is the person to all of Matrix.
        proven_at: now,
    }
}

async fn prove<P: Platform>(call: &Call<P>, request: &VerifyRequest) -> Result<Result<(Proven, AuthLevel), Refusal>, Failure> {
    let claim = request.matrix_user_id.as_ref();
    if claim.is_some_and(is_a_services) {
        return Ok(Err(Refusal::ApplicationService));
    }
    let token = request.access_token.as_ref().or(request.openid_token.as_ref().map(|token| &token.access_token));
    if token.is_some_and(|token| !is_token(token.expose())) {
        return Ok(Err(Refusal::Token));
    }
    let Some(homeserver) = tmcp_proof::find(call, claim.map(MatrixUserId::server)).await? else {
        return Ok(Err(Refusal::UnknownHomeserver));
    };
    match (&request.access_token, &request.openid_token, claim) {
        (Some(token), None, claim) => {
            let id = matrix::whoami(call, &homeserver, claim, token).await?;
            Ok(id.map(|id| (of_homeserver(&homeserver, &id, call.now()), AuthLevel::Full)))
        }
        (None, Some(token), Some(claim)) => {
            let proof = prove_openid(call, &homeserver, claim, token).await?;
            Ok(proof.map(|()| (of_homeserver(&homeserver, claim, call.now()), AuthLevel::Openid)))
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
