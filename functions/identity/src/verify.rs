//! POST /internal/verify: credentials in, the proven user out. Asked by auth and account. Credentials are a Matrix access token, a Matrix
//! OpenID token, or a code that a native app brought from a provider.
//!
//! | answer | when |
//! |---|---|
//! | 200 | the user, found or created |
//! | 401 `invalid_matrix_credentials` | wrong, foreign, expired, replayed, a guest's, a service's: one message for all, an audit row each |
//! | 404 | no such provider, or it takes no codes from native apps |
//! | 503 | the homeserver or the provider does not answer |

use crate::homeserver::{self, Homeserver};
use crate::refusal::{self, Refusal};
use crate::transaction::Proofs;
use crate::upstream::{self, Proven};
use crate::{matrix, providers, sql, user};
use serde::Deserialize;
use serde_json::json;
use tmcp_http::body::Form;
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
    code: Option<Code>,
    /// Where the sign-in came from, truncated.
    address: Option<String>,
}

#[derive(Deserialize)]
struct OpenIdToken {
    access_token: Secret,
    matrix_server_name: String,
}

/// What a native app brings from a provider.
#[derive(Deserialize)]
struct Code {
    provider: String,
    code: String,
    code_verifier: String,
    redirect_uri: String,
    nonce: String,
    /// The issuer that came with the code (RFC 9207): needed where the provider says that it names itself.
    iss: Option<String>,
}

/// The handler.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let request: VerifyRequest = call.message()?;
    let claim = request.matrix_user_id.as_ref().map(MatrixUserId::as_str);
    let (kind, target) = match &request.code {
        Some(code) => (providers::find(&call, &code.provider)?.word, code.provider.as_str()),
        None => ("matrix", claim.unwrap_or_default()),
    };
    let refused = |refusal| refusal::audit(&call, kind, target, refusal, request.address.clone());
    let (proven, level) = match prove(&call, &request).await? {
        Ok(proven) => proven,
        Err(refusal) => {
            refused(&refusal).await?;
            return Err(no_proof(&refusal));
        }
    };
    let user = user::known(&call, &proven, request.address.as_deref()).await?;
    if user.status != "active" {
        refused(&Refusal::Suspended).await?;
        return Err(no_proof(&Refusal::Suspended));
    }
    Reply::json(&json!({
        "uid": user.uid, "status": user.status, "wallet_id": user.wallet_id, "matrix_user_id": user.matrix_user_id,
        "username": user.username, "display_name": user.display_name, "avatar_url": user.avatar_url, "provider": proven.kind,
        "level": level,
    }))
}

/// One answer for all.
fn no_proof(refusal: &Refusal) -> Failure {
    let message = "the credentials do not prove who you are";
    Failure::new(ErrorCode::InvalidMatrixCredentials, message).because(refusal.to_string())
}

/// A person of a homeserver.
fn of_homeserver(homeserver: &Homeserver, id: &MatrixUserId) -> Proven {
    Proven {
        instance: homeserver.instance.clone(),
        external_id: id.to_string(),
        kind: "matrix",
        username: id.localpart().to_owned(),
        display_name: None,
        avatar_url: None,
        email: None,
    }
}

async fn prove<P: Platform>(call: &Call<P>, request: &VerifyRequest) -> Result<Result<(Proven, AuthLevel), Refusal>, Failure> {
    if let Some(code) = &request.code {
        return Ok(redeem(call, code).await?.map(|proven| (proven, AuthLevel::Full)));
    }
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
            let id = matrix::whoami(call, &homeserver, claim, token).await?;
            Ok(id.map(|id| (of_homeserver(&homeserver, &id), AuthLevel::Full)))
        }
        (None, Some(token), Some(claim)) => {
            let proof = prove_openid(call, &homeserver, claim, token).await?;
            Ok(proof.map(|()| (of_homeserver(&homeserver, claim), AuthLevel::Openid)))
        }
        _ => Err(Failure::invalid("give matrix_user_id and either access_token or openid_token")),
    }
}

/// Redeems a code that went to a native app: to an address that the operator allowed, since codes go to browsers otherwise.
async fn redeem<P: Platform>(call: &Call<P>, code: &Code) -> Result<Result<Proven, Refusal>, Failure> {
    let provider = providers::find(call, &code.provider)?;
    if !provider.redirect_uris.contains(&code.redirect_uri) {
        return Ok(Err(Refusal::Provider("not an address of a native app that is configured")));
    }
    let answer = Form::of([("code", code.code.as_str()), ("iss", code.iss.as_deref().unwrap_or_default())]);
    let proofs = Proofs { nonce: code.nonce.clone(), verifier: code.code_verifier.clone() };
    upstream::prove(call, &provider, &answer, &code.redirect_uri, &proofs).await
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
pub(crate) fn is_token(text: &str) -> bool {
    (1..=4096).contains(&text.len()) && text.bytes().all(|b| (0x21..=0x7e).contains(&b))
}

/// The namespaces of our own Application Service (TMCP 6.1): bots, never people.
pub(crate) fn is_a_services(id: &MatrixUserId) -> bool {
    let local = id.localpart();
    local == "_tmcp" || local.starts_with("_tmcp_") || local.starts_with("ma_")
}
