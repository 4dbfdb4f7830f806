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
    /// Where codes are redeemed.
    pub token_endpoint: Url,
    /// Where tokens are taken back (RFC 8414 section 2).
    pub revocation_endpoint: Option<Url>,
    /// Whether our secret goes into a header.
    pub by_header: bool,
    jwks_uri: Option<Url>,
    names_issuer: bool,
}

/// The address of an issuer's metadata (OpenID Connect Discovery section 4).
pub fn discovery(issuer: &str) -> String {
    format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'))
}

/// What a metadata document says, if it is of exactly that issuer: another one's endpoints are how providers are mixed up.
pub fn read(document: &Value, issuer: &str) -> Result<Metadata, String> {
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
        revocation_endpoint: endpoint("revocation_endpoint").ok(),
        jwks_uri: endpoint("jwks_uri").ok(),
        by_header: methods.is_none_or(|methods| methods.iter().any(|method| method == "client_secret_basic")),
        names_issuer: says("authorization_response_iss_parameter_supported"),
    })
}

impl Metadata {
    /// Whether an answer is this issuer's, by what came with it (RFC 9207).
    pub fn is_answer_of(&self, issuer: &str, iss: Option<&str>) -> bool {
        iss.map_or(!self.names_issuer, |iss| iss == issuer)
    }
}

/// What an OpenID provider's says, whose tokens its keys verify.
fn usable(document: &Value, issuer: &str) -> Result<(Metadata, Url), String> {
    let metadata = read(document, issuer)?;
    let jwks_uri = metadata.jwks_uri.clone().ok_or_else(|| "jwks_uri is missing, or not https".to_owned())?;
    Ok((metadata, jwks_uri))
}

/// The issuer's metadata, and where its keys are. A document that cannot be used is asked for again in a minute.
pub async fn metadata<P: Platform>(call: &Call<P>, issuer: &str) -> Result<(Metadata, Url), Failure> {
    let url = discovery(issuer);
    let document = documents::get(call, Trust::Configured, &url, |document| usable(document, issuer).is_ok()).await?;
    usable(&document, issuer).map_err(|problem| Failure::unavailable(format!("{url}: {problem}")))
}

/// What an endpoint that the metadata names may reach: at the issuer's own origin what configuration may, elsewhere what anybody may
/// name, so that a provider leads us to no private place.
pub fn trust(issuer: &str, endpoint: &Url) -> Trust {
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
    let (metadata, jwks_uri) = metadata(call, issuer).await?;
    // Checked before the code goes anywhere: it may be another provider's.
    if !metadata.is_answer_of(issuer, iss) {
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
    let claims = match verified(call, issuer, &jwks_uri, token).await?.and_then(|claims| expected.check(claims)) {
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
