//! SAML identity providers: `saml` makes the request and verifies the response, which it keeps under a handle.

use crate::transaction::Proofs;
use serde::Deserialize;
use serde_json::json;
use tmcp_http::{Call, Failure};
use tmcp_ports::Platform;
use tmcp_proof::{Proven, Refusal};
use tmcp_protocol::provider::Provider;
use tmcp_protocol::routes::{INTERNAL_SAML_REDEEM, INTERNAL_SAML_REQUEST};
use url::Url;

/// Clocks differ by at most so much.
const SKEW_MS: i64 = 60_000;

#[derive(Deserialize)]
struct Address {
    url: Url,
}

/// Where a person goes to sign in.
pub async fn address<P: Platform>(call: &Call<P>, provider: &Provider, state: &str, proofs: &Proofs) -> Result<Url, Failure> {
    let wanted = json!({"provider": provider.id, "state": state, "anew": proofs.since.is_some()});
    let Address { url } = call.ask(&INTERNAL_SAML_REQUEST, &wanted).await??;
    Ok(url)
}

#[derive(Deserialize)]
struct Kept {
    proven: Option<Proven>,
}

/// Who is proven by a handle.
pub async fn prove<P: Platform>(
    call: &Call<P>,
    provider: &Provider,
    state: &str,
    handle: &str,
    proofs: &Proofs,
) -> Result<Result<Proven, Refusal>, Failure> {
    let brought = json!({"provider": provider.id, "state": state, "handle": handle});
    let Kept { proven } = call.ask(&INTERNAL_SAML_REDEEM, &brought).await??;
    let Some(proven) = proven else { return Ok(Err(Refusal::Provider("a handle that was used, or never given"))) };
    if proofs.since.is_some_and(|since| proven.proven_at.plus(SKEW_MS) < since) {
        return Ok(Err(Refusal::Provider("the person did not sign in anew")));
    }
    Ok(Ok(proven))
}
