//! POST /internal/verify: credentials in, the proven user out. Asked by auth and account. Credentials are a Matrix access token, a Matrix
//! OpenID token, or a code that a native app brought from a provider.
//!
//! | answer | when |
//! |---|---|
//! | 200 | the user, found or created |
//! | 401 `invalid_matrix_credentials` | wrong, foreign, expired, replayed, a guest's, a service's: one message for all, an audit row each |
//! | 403 `ACCOUNT_SUSPENDED` | proven, and suspended |
//! | 404 | no such provider |
//! | 503 | the homeserver or the provider does not answer |

use crate::homeserver::{self, Homeserver};
use crate::refusal::{self, Refusal};
use crate::transaction::Proofs;
use crate::upstream::{self, Proven};
use crate::{matrix, providers, sql, user};
use serde::Deserialize;
use serde_json::{Value, json};
use tmcp_http::body::Form;
use tmcp_http::{Call, Failure, Reply, sha256_hex};
use tmcp_ports::{Platform, Sql, stmt};
use tmcp_protocol::token::AuthLevel;
use tmcp_protocol::{ErrorCode, MatrixUserId, Millis, Secret};

#[derive(Deserialize)]
struct VerifyRequest {
    /// The claim. Without one, an access token's homeserver is the only one that is configured.
    matrix_user_id: Option<MatrixUserId>,
    access_token: Option<Secret>,
    openid_token: Option<OpenIdToken>,
    /// What a native app brought from a provider: `provider`, `code`, `code_verifier`, `redirect_uri`, `nonce`, and `iss` if one came.
    code: Option<Value>,
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
    let claim = request.matrix_user_id.as_ref().map(MatrixUserId::as_str);
    let provider = request.code.as_ref().map(|code| providers::find(&call, member(code, "provider"))).transpose()?;
    let (kind, target) = match &provider {
        Some(provider) => (provider.word, provider.id.as_str()),
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
    if let Some(told) = user.suspended(call.now()) {
        refused(&Refusal::Suspended).await?;
        return Err(Failure::suspended(told));
    }
    let user_shown = json!({
        "id": user.uid, "status": "active", "matrix_user_id": user.matrix_user_id, "matrix_username": user.username,
        "display_name": user.display_name, "avatar_url": user.avatar_url,
    });
    let uid = user.uid.clone();
    let names = user.names(provider.as_ref().map_or("", |provider| provider.name.as_str()), level);
    Reply::json(&json!({"uid": uid, "names": names, "provider": proven.kind, "user": user_shown}))
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
        proven_at: Millis(0),
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
async fn redeem<P: Platform>(call: &Call<P>, brought: &Value) -> Result<Result<Proven, Refusal>, Failure> {
    let text = |name: &str| member(brought, name);
    let provider = providers::find(call, text("provider"))?;
    let proofs = Proofs { nonce: text("nonce").to_owned(), verifier: text("code_verifier").to_owned(), since: None };
    if !(43..=128).contains(&proofs.verifier.len()) || proofs.nonce.len() < 16 {
        return Ok(Err(Refusal::Provider("a verifier or a nonce that anybody could guess")));
    }
    let redirect_uri = text("redirect_uri");
    if !provider.redirect_uris.iter().any(|allowed| allowed == redirect_uri) {
        return Ok(Err(Refusal::Provider("not an address of a native app that is configured")));
    }
    let answer = Form::of([("code", text("code")), ("iss", text("iss"))]);
    upstream::prove(call, &provider, &answer, redirect_uri, &proofs).await
}

/// A text of a message; empty where it is none.
pub(crate) fn member<'a>(brought: &'a Value, name: &str) -> &'a str {
    brought.get(name).and_then(Value::as_str).unwrap_or_default()
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
