//! A homeserver's own OAuth 2.0 server (client-server API, "OAuth 2.0 API"), such as the Matrix Authentication Service: found by discovery at the
//! homeserver, and held to the issuer that is configured. The code gives an access token, by which the homeserver itself says whose it is; the
//! token is taken back at once, and with it the session and device that it made: we keep no Matrix token (ADR 12).
//!
//! What if it dies in between? The session stays in the person's list until they end it; nobody has its token.

use super::matrix_sso::{configured, proven};
use super::openid::{self, Metadata};
use super::{Redeemed, authorization, form_request, redeem};
use crate::documents;
use crate::transaction::Proofs;
use serde_json::Value;
use tmcp_http::{Call, Failure};
use tmcp_ports::{HttpClient, Platform};
use tmcp_proof::{Homeserver, Proven, Refusal, is_token, matrix};
use tmcp_protocol::provider::{Delegated, Registration};
use tmcp_protocol::{Secret, ServerName};
use url::Url;

/// What the homeserver says of its OAuth 2.0 server.
async fn metadata<P: Platform>(call: &Call<P>, homeserver: &Homeserver, issuer: &str) -> Result<Metadata, Failure> {
    let url = format!("{}/_matrix/client/v1/auth_metadata", homeserver.client_url);
    let document = documents::get(call, homeserver.trust, &url, |document| openid::read(document, issuer).is_ok()).await?;
    openid::read(&document, issuer).map_err(|problem| Failure::unavailable(format!("{url}: {problem}")))
}

/// The scopes of a request, with a device of its own: a token without one is an Application Service's.
fn scopes(configured: &str, nonce: &str) -> String {
    let device: String = nonce.chars().filter(char::is_ascii_alphanumeric).take(16).collect();
    let unstable = configured.contains("org.matrix.msc2967.");
    let prefix = if unstable { "urn:matrix:org.matrix.msc2967.client:device:" } else { "urn:matrix:client:device:" };
    format!("{configured} {prefix}{device}")
}

/// Where a person goes to sign in.
pub async fn address<P: Platform>(
    call: &Call<P>,
    server_name: &ServerName,
    delegated: &Delegated,
    back: &str,
    state: &str,
    proofs: &Proofs,
) -> Result<Url, Failure> {
    let homeserver = configured(call, server_name).await?;
    let metadata = metadata(call, &homeserver, &delegated.issuer).await?;
    let scope = scopes(&delegated.registration.scope, &proofs.nonce);
    let registration = Registration { scope, ..delegated.registration.clone() };
    Ok(authorization(metadata.authorization_endpoint, &registration, back, state, proofs))
}

/// Who a code is for. `iss` is what came with it (RFC 9207).
pub async fn prove<P: Platform>(
    call: &Call<P>,
    server_name: &ServerName,
    issuer: &str,
    code: Redeemed<'_>,
    iss: Option<&str>,
) -> Result<Result<Proven, Refusal>, Failure> {
    let homeserver = configured(call, server_name).await?;
    let metadata = metadata(call, &homeserver, issuer).await?;
    // Checked before the code goes anywhere: it may be another provider's.
    if !metadata.is_answer_of(issuer, iss) {
        return Ok(Err(Refusal::Provider("the answer names another issuer, or none")));
    }
    let endpoint = &metadata.token_endpoint;
    let answer = match redeem(call, openid::trust(issuer, endpoint), endpoint, &code, metadata.by_header).await? {
        Ok(answer) => answer,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let token = answer.get("access_token").and_then(Value::as_str).filter(|token| is_token(token));
    let Some(token) = token else { return Ok(Err(Refusal::Provider("no access token"))) };
    let whose = matrix::whoami(call, &homeserver, None, &Secret::new(token)).await;
    take_back(call, issuer, &metadata, token, code.registration).await;
    Ok(whose?.map(|id| proven(call, homeserver, &id)))
}

/// Ends the session that the sign-in made; where that does not work, the log tells.
async fn take_back<P: Platform>(call: &Call<P>, issuer: &str, metadata: &Metadata, token: &str, registration: &Registration) {
    let Some(endpoint) = &metadata.revocation_endpoint else {
        return call.note("the homeserver's OAuth 2.0 server cannot take a token back");
    };
    let parameters = [("token", token), ("token_type_hint", "access_token")];
    let request = form_request(endpoint, &parameters, registration, metadata.by_header);
    match call.platform.http().send(openid::trust(issuer, endpoint), call.outbound(request)).await {
        Ok(response) if response.status == 200 => {}
        Ok(response) => call.note(format!("taking our token back: {}", response.status)),
        Err(error) => call.note(format!("taking our token back: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::scopes;

    #[test]
    fn a_sign_in_has_a_device_in_the_words_of_its_scopes() {
        let unstable = scopes("openid urn:matrix:org.matrix.msc2967.client:api:*", "a-b_cdefghijklmnopqrstuvw");
        assert_eq!(
            unstable,
            "openid urn:matrix:org.matrix.msc2967.client:api:* urn:matrix:org.matrix.msc2967.client:device:abcdefghijklmnop"
        );
        let stable = scopes("urn:matrix:client:api:*", "0123456789abcdefgh");
        assert_eq!(stable, "urn:matrix:client:api:* urn:matrix:client:device:0123456789abcdef");
    }
}
