//! POST /saml/acs/{provider}: the assertion consumer (bindings section 3.5, HTTP POST).
//!
//! ```text
//!  broker: /sign-in/corp ──303, signed request, state──▶ provider: the person signs in there
//!     │ cookie of the browser, row of state                │ a form of the provider's page posts the response and `state`
//!     │                                                    ▼
//!     │                       /saml/acs/corp: verified, and kept under a handle; no cookie comes with another site's POST
//!     │                                                    │ 303, handle, state
//!     ▼                                                    ▼
//!  the cookie ──────────────────────────▶ /sign-in/callback/corp: the row of `state` and this browser is gone; the handle is redeemed
//! ```
//!
//! Nothing follows from a response alone: whoever has one and not the browser in which the request began has a handle for nothing.
//!
//! | answer | when |
//! |---|---|
//! | 303 | to the callback, with a handle; or with `error=access_denied`, where the person did not want to |
//! | 400 | a parameter is missing, or given twice |
//! | 401 | the response proves nothing: one message for all, an audit row each |
//! | 404 | no such provider |
//!
//! The race: of two posts of one response, one finds its assertion unused. What if it dies? Before the row is there, nothing happened;
//! after it, the person begins again: the assertion is used.

use crate::assertion::{Asserted, Expected};
use crate::response::{self, Answer};
use crate::settings::{self, Instance, consumer, entity};
use crate::xml::Flaw;
use crate::{request, sql};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use tmcp_http::{Call, Failure, Reply, sha256_hex};
use tmcp_ports::{Platform, Sql, stmt};
use tmcp_proof::{Proven, Refusal};
use tmcp_protocol::routes::{SAML_CONSUME, SIGN_IN_CALLBACK};
use tmcp_protocol::{ErrorCode, Millis};

/// So long may a handle wait: for one redirect.
const HANDLE_MS: i64 = 120_000;

/// The handler.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let form = call.form()?;
    let (encoded, state) = (form.require("SAMLResponse")?, form.require("RelayState")?);
    let instance = settings::find(&call, &call.rest_of_path(SAML_CONSUME.prefix())?)?;
    let callback = format!("{}{}", SIGN_IN_CALLBACK.prefix(), instance.id);
    let refusal = match read(&call, &instance, encoded, state).await? {
        Ok(Answer::Denied) => return Ok(Reply::see_other(&format!("{callback}?state={state}&error=access_denied"))),
        Ok(Answer::Person(person)) => match keep(&call, &instance, state, person).await? {
            Some(handle) => return Ok(Reply::see_other(&format!("{callback}?state={state}&code={handle}"))),
            None => Refusal::AssertionReplayed,
        },
        Err(Flaw(what)) => Refusal::Provider(what),
    };
    tmcp_proof::audit(&call, ("saml", Some(&instance.id)), "", &refusal, Some(call.address.truncated())).await?;
    let message = "what the provider answered does not prove who you are: go back, and sign in once more";
    Err(Failure::new(ErrorCode::InvalidToken, message).because(refusal.to_string()))
}

async fn read<P: Platform>(
    call: &Call<P>,
    instance: &Instance,
    encoded: &str,
    state: &str,
) -> Result<Result<Answer, Flaw>, Failure> {
    // What we never sent cannot come back: a RelayState of our making is the form of a secret, and no address.
    let is_ours = state.len() == 43 && state.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    let text: String = encoded.split_ascii_whitespace().collect();
    let text = STANDARD.decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let Some(text) = text.filter(|_| is_ours) else { return Ok(Err(Flaw("no answer to our request, or not base64 of UTF-8"))) };
    let expected = Expected {
        provider: &instance.saml,
        entity: &entity(call, instance),
        consumer: &consumer(call, instance),
        request: &request::id_of(state),
        now: call.now(),
    };
    // The keys are there whenever a request was signed.
    let ours = settings::ours(&call.platform)?;
    response::read(&call.platform, &text, &instance.keys, &ours.keys, &expected).await
}

/// Keeps whom an assertion proved, under a handle; `None` where it was used before.
async fn keep<P: Platform>(
    call: &Call<P>,
    instance: &Instance,
    state: &str,
    person: Asserted,
) -> Result<Option<String>, Failure> {
    let Asserted { id, external_id, display_name, email, signed_in_at, expires_at } = person;
    let assertion = sha256_hex(format!("{}\n{id}", instance.saml.entity_id));
    let proven = Proven {
        instance: instance.instance.clone(),
        kind: "saml".to_owned(),
        username: display_name.clone().or_else(|| email.clone()).unwrap_or_else(|| external_id.clone()),
        external_id,
        display_name,
        email,
        proven_at: signed_in_at,
    };
    let (handle, now) = (call.secret(), call.now());
    // A second after the assertion is over, it is refused for that.
    let until = expires_at.max(now.plus(HANDLE_MS)).plus(1000);
    let (hash, state, proven) = (sha256_hex(&handle), sha256_hex(state), json!(proven).to_string());
    let by: Millis = now.plus(HANDLE_MS);
    let keep = stmt!(sql::KEEP, assertion, hash, state, instance.id.as_str(), proven, by, until);
    let kept = !call.platform.sql().query(keep).await?.is_empty();
    Ok(kept.then_some(handle))
}
