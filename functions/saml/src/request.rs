//! POST /internal/saml/request, for broker: the address that a person is sent to to sign in, with a signed request in it (bindings
//! section 3.4, HTTP redirect). The request's id is made from `state`, so that no row has to keep it: the response names it, and comes
//! with `state` as its RelayState.

use crate::settings::{self, consumer, entity};
use askama::Template;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::json;
use tmcp_http::{Call, Failure, Reply, sha256_hex};
use tmcp_ports::{Platform, Signer};
use url::form_urlencoded::byte_serialize;

#[derive(Deserialize)]
struct Wanted {
    provider: String,
    state: String,
    /// Whether the person has to sign in there anew.
    anew: bool,
}

#[derive(Template)]
#[template(path = "authn_request.xml")]
struct AuthnRequest<'a> {
    id: &'a str,
    at: String,
    destination: &'a str,
    consumer: &'a str,
    entity: &'a str,
    anew: bool,
    persistent: bool,
}

/// The id of the request that belongs to a `state`.
pub fn id_of(state: &str) -> String {
    format!("_{}", sha256_hex(format!("tmcp-saml-request\n{state}")))
}

/// The DEFLATE form of a text (RFC 1951 section 3.2.4), as one block that is stored as it is: a request has 1 KB.
fn deflated(text: &str) -> Result<Vec<u8>, Failure> {
    let length = u16::try_from(text.len()).map_err(|_| Failure::internal("a request that is too long"))?;
    Ok([&[1][..], &length.to_le_bytes(), &(!length).to_le_bytes(), text.as_bytes()].concat())
}

/// The handler.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let Wanted { provider, state, anew } = call.message()?;
    let instance = settings::find(&call, &provider)?;
    let saml = &instance.saml;
    let ours = settings::ours(&call.platform)?;
    let key = ours.keys.first().ok_or_else(|| Failure::internal("no key of ours"))?;
    let request = AuthnRequest {
        id: &id_of(&state),
        at: call.now().rfc3339(),
        destination: saml.sso_url.as_str(),
        consumer: &consumer(&call, &instance),
        entity: &entity(&call, &instance),
        anew,
        persistent: saml.id_attribute.is_none(),
    };
    let xml = request.render().map_err(|error| Failure::internal(error.to_string()))?;
    let deflated = STANDARD.encode(deflated(&xml)?);
    let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
    let query = format!(
        "SAMLRequest={}&RelayState={}&SigAlg={}",
        encoded(&deflated),
        encoded(&state),
        encoded("http://www.w3.org/2001/04/xmldsig-more#rsa-sha256")
    );
    let signature = call.platform.signer().sign(key, query.as_bytes()).await?;
    let query = format!("{query}&Signature={}", encoded(&STANDARD.encode(signature)));
    let mut url = saml.sso_url.clone();
    let before = url.query().filter(|before| !before.is_empty()).map(|before| format!("{before}&{query}"));
    url.set_query(Some(before.as_deref().unwrap_or(&query)));
    Reply::json(&json!({"url": url.as_str()}))
}
