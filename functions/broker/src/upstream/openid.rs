//! OpenID Connect: discovery, the code, and the id token. The picture that a token may name is never fetched.

use super::id_token::{self, Key};
use super::{Redeemed, redeem, text};
use crate::documents;
use crate::transaction::Proofs;
use serde_json::Value;
use tmcp_http::{Call, Failure};
use tmcp_ports::{Platform, Signer, Trust};
use tmcp_proof::{Proven, Refusal};
use tmcp_protocol::Millis;
use tmcp_protocol::provider::Provider;
use url::Url;

/// What we need of a provider's metadata (OpenID Connect Discovery section 3).
pub struct Metadata {
    /// Where people are sent.
    pub authorization_endpoint: Url,
    token_endpoint: Url,
    jwks_uri: Url,
    by_header: bool,
    names_issuer: bool,
}

/// The address of an issuer's metadata (OpenID Connect Discovery section 4).
pub fn discovery(issuer: &str) -> String {
    format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'))
}

/// What a metadata document says, if it is of exactly that issuer: another one's endpoints are how providers are mixed up.
fn read(document: &Value, issuer: &str) -> Result<Metadata, String> {
    if document.get("issuer").and_then(Value::as_str) != Some(issuer) {
        return Err("it is another issuer's".to_owned());
    }
    let secure = issuer.starts_with("https://");
    let endpoint = |name: &str| {
        let found = document.get(name).and_then(Value::as_str).and_then(|url| Url::parse(url).ok());
        let good = found.filter(|url| url.scheme() == "https" || (!secure && url.scheme() == "http"));
        good.ok_or_else(|| format!("{name} is missing, or not https"))
    };
    let methods = document.get("token_endpoint_auth_methods_supported").and_then(Value::as_array);
    let says = |name: &str| document.get(name).and_then(Value::as_bool).unwrap_or_default();
    Ok(Metadata {
        authorization_endpoint: endpoint("authorization_endpoint")?,
        token_endpoint: endpoint("token_endpoint")?,
        jwks_uri: endpoint("jwks_uri")?,
        by_header: methods.is_none_or(|methods| methods.iter().any(|method| method == "client_secret_basic")),
        names_issuer: says("authorization_response_iss_parameter_supported"),
    })
}

/// The issuer's metadata. A document that cannot be used is asked for again in a minute.
pub async fn metadata<P: Platform>(call: &Call<P>, issuer: &str) -> Result<Metadata, Failure> {
    let url = discovery(issuer);
    let document = documents::get(call, Trust::Configured, &url, |document| read(document, issuer).is_ok()).await?;
    read(&document, issuer).map_err(|problem| Failure::unavailable(format!("{url}: {problem}")))
}

/// What an endpoint that the metadata names may reach: at the issuer's own origin what configuration may, elsewhere what anybody may
/// name, so that a provider leads us to no private place.
fn trust(issuer: &str, endpoint: &Url) -> Trust {
    let own = Url::parse(issuer).is_ok_and(|issuer| issuer.origin() == endpoint.origin());
    if own { Trust::Configured } else { Trust::Untrusted }
}

/// Who a code is for. `iss` is what came with it (RFC 9207).
pub async fn prove<P: Platform>(
    call: &Call<P>,
    provider: &Provider,
    issuer: &str,
    code: Redeemed<'_>,
    iss: Option<&str>,
    proofs: &Proofs,
) -> Result<Result<Proven, Refusal>, Failure> {
    let metadata = metadata(call, issuer).await?;
    // Checked before the code goes anywhere: it may be another provider's.
    if iss.map_or(metadata.names_issuer, |iss| iss != issuer) {
        return Ok(Err(Refusal::Provider("the answer names another issuer, or none")));
    }
    let client_id = &code.registration.client_id;
    let answer =
        match redeem(call, trust(issuer, &metadata.token_endpoint), &metadata.token_endpoint, &code, metadata.by_header).await? {
            Ok(answer) => answer,
            Err(refusal) => return Ok(Err(refusal)),
        };
    let Some(token) = answer.get("id_token").and_then(Value::as_str) else {
        return Ok(Err(Refusal::Provider("no id token")));
    };
    let expected = id_token::Expected { issuer, client_id, nonce: &proofs.nonce, since: proofs.since, now: call.now() };
    let claims = match verified(call, issuer, &metadata.jwks_uri, token).await?.and_then(|claims| expected.check(claims)) {
        Ok(claims) => claims,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let own = |name: &str| text(&claims, name).map(str::to_owned);
    let Some(external_id) = own("sub") else { return Ok(Err(Refusal::Provider("no sub"))) };
    let is_verified = claims.get("email_verified").is_some_and(|said| *said == true || *said == "true");
    Ok(Ok(Proven {
        instance: provider.instance().unwrap_or_default(),
        username: own("preferred_username").or_else(|| own("name")).unwrap_or_else(|| external_id.clone()),
        external_id,
        kind: provider.word.to_owned(),
        display_name: own("name"),
        email: own("email").filter(|_| is_verified),
        proven_at: claims.get("auth_time").and_then(Value::as_i64).map(Millis::from_seconds).unwrap_or_default(),
    }))
}

/// The claims of a token that one of the issuer's keys signed.
async fn verified<P: Platform>(
    call: &Call<P>,
    issuer: &str,
    jwks_uri: &Url,
    token: &str,
) -> Result<Result<Value, Refusal>, Failure> {
    let token = match id_token::parse(token) {
        Ok(token) => token,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let kid = token.kid.as_deref();
    let keys = documents::get(call, trust(issuer, jwks_uri), jwks_uri.as_str(), |keys| {
        id_token::key(keys, token.algorithm, kid).is_some()
    })
    .await?;
    let Some(key) = id_token::key(&keys, token.algorithm, kid) else {
        return Ok(Err(Refusal::Provider("no key of that name")));
    };
    let (signer, signed) = (call.platform.signer(), token.signing_input.as_bytes());
    let outcome = match &key {
        Key::Rsa(key) => signer.verify(key, signed, &token.signature).await,
        Key::Ec(key) => signer.verify_es256(key, signed, &token.signature).await,
    };
    match outcome {
        Ok(true) => Ok(Ok(token.claims)),
        Ok(false) => Ok(Err(Refusal::Provider("wrong signature"))),
        Err(error) => {
            call.note(error.to_string());
            Ok(Err(Refusal::Provider("a key that cannot be used")))
        }
    }
}
