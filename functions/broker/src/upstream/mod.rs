//! Proving at a provider who somebody is: one file per kind. What a provider gives us beside that, its tokens above all, is dropped.

pub mod id_token;
pub mod matrix_oauth;
pub mod matrix_sso;
pub mod oauth;
pub mod openid;
pub mod saml;

use crate::email;
use crate::transaction::Proofs;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::Value;
use tmcp_http::body::Form;
use tmcp_http::{Call, Failure};
use tmcp_ports::{HttpClient, OutboundRequest, Platform, Trust};
use tmcp_proof::{Proven, Refusal};
use tmcp_protocol::provider::{Kind, Provider, Registration};
use url::{Url, form_urlencoded};

/// Where the provider sends people back to.
pub fn callback<P: Platform>(call: &Call<P>, provider: &Provider) -> String {
    format!("{}/sign-in/callback/{}", call.settings.issuer, provider.id)
}

/// Where a person goes to sign in.
pub async fn address<P: Platform>(call: &Call<P>, provider: &Provider, state: &str, proofs: &Proofs) -> Result<Url, Failure> {
    let back = callback(call, provider);
    match &provider.kind {
        Kind::Openid(issuer, registration) => {
            let (metadata, _) = openid::metadata(call, issuer).await?;
            let mut url = authorization(metadata.authorization_endpoint, registration, &back, state, proofs);
            url.query_pairs_mut().append_pair("nonce", &proofs.nonce);
            if proofs.since.is_some() {
                url.query_pairs_mut().append_pair("prompt", "login").append_pair("max_age", "0");
            }
            Ok(url)
        }
        Kind::OAuth(oauth, registration) => {
            Ok(authorization(oauth.authorization_endpoint.clone(), registration, &back, state, proofs))
        }
        Kind::Matrix(server_name, None) => matrix_sso::address(call, server_name, &back, state).await,
        Kind::Matrix(server_name, Some(delegated)) => {
            matrix_oauth::address(call, server_name, delegated, &back, state, proofs).await
        }
        Kind::Saml(_) => saml::address(call, provider, state, proofs).await,
        Kind::Email(_) => {
            Url::parse(&email::page_of(call, provider, state)).map_err(|error| Failure::internal(error.to_string()))
        }
    }
}

fn authorization(mut endpoint: Url, registration: &Registration, back: &str, state: &str, proofs: &Proofs) -> Url {
    let challenge = crate::transaction::challenge(&proofs.verifier);
    let mut query = endpoint.query_pairs_mut();
    query.append_pair("response_type", "code").append_pair("client_id", &registration.client_id);
    query.append_pair("redirect_uri", back).append_pair("state", state);
    query.append_pair("code_challenge", &challenge).append_pair("code_challenge_method", "S256");
    if !registration.scope.is_empty() {
        query.append_pair("scope", &registration.scope);
    }
    drop(query);
    endpoint
}

/// Who is proven by what the provider sent back. `back` is the address that it was sent to.
pub async fn prove<P: Platform>(
    call: &Call<P>,
    provider: &Provider,
    answer: &Form,
    back: &str,
    proofs: &Proofs,
) -> Result<Result<Proven, Refusal>, Failure> {
    let name = if matches!(provider.kind, Kind::Matrix(_, None)) { "loginToken" } else { "code" };
    let Some(code) = answer.get(name).filter(|code| code.len() <= MAX_CODE) else {
        return Ok(Err(Refusal::Provider("no code")));
    };
    let redeemed = |registration| Redeemed { code, back, verifier: &proofs.verifier, registration };
    match &provider.kind {
        Kind::Openid(issuer, registration) => {
            openid::prove(call, provider, issuer, redeemed(registration), answer.get("iss"), proofs).await
        }
        Kind::OAuth(oauth, registration) => oauth::prove(call, provider, oauth, redeemed(registration)).await,
        Kind::Matrix(server_name, None) => matrix_sso::prove(call, server_name, code).await,
        Kind::Matrix(server_name, Some(delegated)) => {
            let code = redeemed(&delegated.registration);
            matrix_oauth::prove(call, server_name, &delegated.issuer, code, answer.get("iss")).await
        }
        Kind::Saml(_) => saml::prove(call, provider, answer.require("state")?, code, proofs).await,
        Kind::Email(_) => email::prove(call, answer.require("state")?, code, call.now()).await,
    }
}

/// No code is longer.
const MAX_CODE: usize = 4096;

/// What is redeemed at a token endpoint (RFC 6749 section 4.1.3).
pub struct Redeemed<'a> {
    code: &'a str,
    back: &'a str,
    verifier: &'a str,
    registration: &'a Registration,
}

/// A form for an endpoint that asks who we are, with our secret in a header or in the form.
pub fn form_request(
    endpoint: &Url,
    parameters: &[(&str, &str)],
    registration: &Registration,
    by_header: bool,
) -> OutboundRequest {
    let Registration { client_id, client_secret, .. } = registration;
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(parameters);
    let mut request = OutboundRequest::get(endpoint.as_str()).header("accept", "application/json");
    match client_secret {
        Some(secret) if by_header => {
            let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
            let pair = STANDARD.encode(format!("{}:{}", encoded(client_id), encoded(secret.expose())));
            request = request.header("authorization", format!("Basic {pair}"));
        }
        Some(secret) => {
            form.append_pair("client_id", client_id).append_pair("client_secret", secret.expose());
        }
        None => {
            form.append_pair("client_id", client_id);
        }
    }
    request.method = http::Method::POST;
    request.body = Bytes::from(form.finish());
    request.header("content-type", "application/x-www-form-urlencoded")
}

/// Redeems a code, with our secret in a header or in the form.
pub async fn redeem<P: Platform>(
    call: &Call<P>,
    trust: Trust,
    endpoint: &Url,
    what: &Redeemed<'_>,
    by_header: bool,
) -> Result<Result<Value, Refusal>, Failure> {
    let parameters = [
        ("grant_type", "authorization_code"),
        ("code", what.code),
        ("redirect_uri", what.back),
        ("code_verifier", what.verifier),
    ];
    answered(call, trust, form_request(endpoint, &parameters, what.registration, by_header)).await
}

/// Sends a request to a provider and reads its JSON. A 4xx is a refusal of what we brought (or of us, which only the log can tell),
/// anything else but 200 an outage.
pub async fn answered<P: Platform>(
    call: &Call<P>,
    trust: Trust,
    request: OutboundRequest,
) -> Result<Result<Value, Refusal>, Failure> {
    let response = call.platform.http().send(trust, call.outbound(request)).await?;
    match response.status {
        200 => match serde_json::from_slice(&response.body) {
            Ok(answer) => Ok(Ok(answer)),
            Err(error) => Err(Failure::unavailable(format!("the provider's answer: {error}"))),
        },
        400..500 => Ok(Err(Refusal::Provider("the provider refused the code, the token or us"))),
        status => Err(Failure::unavailable(format!("the provider answered {status}"))),
    }
}

/// A text that is not empty and not longer than ids and names are.
pub fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name).and_then(Value::as_str).filter(|text| !text.is_empty() && text.len() <= 255)
}
