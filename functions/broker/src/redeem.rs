//! POST /internal/redeem, for auth: a code that a native app brought from a provider in, the person out.
//!
//! | answer | when |
//! |---|---|
//! | 200 | the user, found or created |
//! | 401 `invalid_matrix_credentials` | it proves nothing: one message for all, an audit row each |
//! | 403 | `ACCOUNT_SUSPENDED`, or `ACCOUNT_DELETION_PENDING` without `cancel_deletion` |
//! | 404 | no such provider |
//! | 503 | the provider does not answer |

use crate::transaction::Proofs;
use crate::{providers, upstream};
use serde::Deserialize;
use tmcp_http::body::Form;
use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::Platform;
use tmcp_proof::{Introduction, Known, Leaving, Proven, Refusal, introduce};
use tmcp_protocol::ErrorCode;
use tmcp_protocol::provider::Provider;

#[derive(Deserialize)]
struct Brought {
    provider: String,
    code: String,
    code_verifier: String,
    redirect_uri: String,
    nonce: String,
    #[serde(default)]
    iss: String,
    /// `true` where somebody who asked to be erased stays.
    #[serde(default)]
    cancel_deletion: String,
    /// Where the sign-in came from, truncated.
    address: String,
}

/// The handler.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let brought: Brought = call.message()?;
    let provider = providers::find(&call, &brought.provider)?;
    let address = brought.address.clone();
    let leaving = if brought.cancel_deletion == "true" { Leaving::Keep } else { Leaving::Refuse };
    let proven = match prove(&call, &provider, brought).await? {
        Ok(proven) => proven,
        Err(refusal) => {
            tmcp_proof::audit(&call, (provider.word, Some(&provider.id)), "", &refusal, Some(address)).await?;
            let message = "the code does not prove who you are";
            return Err(Failure::new(ErrorCode::InvalidMatrixCredentials, message).because(refusal.to_string()));
        }
    };
    let introduction = Introduction { proven, provider_name: provider.name, address, whose: None, leaving };
    match introduce(&call, &introduction).await? {
        Known::Person(person) => Reply::json(&person),
        Known::Question(_) | Known::Leaving(_) => Err(Failure::internal("a question to nobody")),
    }
}

/// Redeems a code that went to a native app: to an address that the operator allowed, since codes go to browsers otherwise.
async fn prove<P: Platform>(call: &Call<P>, provider: &Provider, brought: Brought) -> Result<Result<Proven, Refusal>, Failure> {
    let Brought { code, code_verifier, redirect_uri, nonce, iss, .. } = brought;
    if !(43..=128).contains(&code_verifier.len()) || nonce.len() < 16 {
        return Ok(Err(Refusal::Provider("a verifier or a nonce that anybody could guess")));
    }
    if !provider.redirect_uris.contains(&redirect_uri) {
        return Ok(Err(Refusal::Provider("not an address of a native app that is configured")));
    }
    let answer = Form::of([("code", code.as_str()), ("iss", iss.as_str())]);
    let proofs = Proofs { nonce, verifier: code_verifier, since: None };
    upstream::prove(call, provider, &answer, &redirect_uri, &proofs).await
}
