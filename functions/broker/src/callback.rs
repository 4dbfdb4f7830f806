//! GET /sign-in/callback/{provider}: a browser comes back from a provider. The way there is drawn in `begin.rs`.
//!
//! | answer | when |
//! |---|---|
//! | 303 | signed in; proven for somebody who links it, to the page that asks them; or the person did not want to: to where they were going |
//! | 400 | the sign-in is over, or began in another browser; a parameter that is given twice |
//! | 401 | what the provider said does not prove who they are; an audit row says why |
//! | 403 | the account is suspended; whoever was to prove once more who they are is somebody else |
//! | 503 | the provider does not answer |
//!
//! What if it dies? Before the session is stored, the person begins again; after it, they have a session whose cookie never came, which
//! is over in a day.

use crate::transaction::{self, Finished};
use crate::{email, providers, upstream};
use http::header;
use serde::Deserialize;
use serde_json::json;
use tmcp_http::body::Form;
use tmcp_http::cookie::{self, Cookie};
use tmcp_http::headers::text;
use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::Platform;
use tmcp_proof::{Introduction, Known, Leaving, Refusal, introduce};
use tmcp_protocol::ErrorCode;
use tmcp_protocol::provider::Kind;
use tmcp_protocol::routes::{INTERNAL_BEGIN_BROWSER, LINK_SHOW, SIGN_IN_CALLBACK, STAY_SHOW};

#[derive(Deserialize)]
struct Begun {
    secret: String,
    seconds: i64,
}

/// The handler.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let provider = providers::find(&call, &call.rest_of_path(SIGN_IN_CALLBACK.prefix())?)?;
    let answer = Form::parse(call.query.as_bytes())?;
    let by_mail = matches!(provider.kind, Kind::Email(_));
    if by_mail && let Some(page) = email::wrong(&call, &provider, &answer).await? {
        return Ok(page);
    }
    let Finished { go_on, whose, proofs } = transaction::finish(&call, &provider.id, answer.require("state")?).await?;
    // Whoever changed their mind is where they were before.
    if let Some("access_denied") = answer.get("error") {
        return Ok(Reply::see_other(&go_on));
    }
    let back = upstream::callback(&call, &provider);
    let address = call.address.truncated();
    let outcome = match answer.get("error") {
        None => upstream::prove(&call, &provider, &answer, &back, &proofs).await?,
        Some(_) => Err(Refusal::Provider("the provider says that it did not work")),
    };
    let proven = match outcome {
        Ok(proven) => proven,
        Err(refusal) => {
            tmcp_proof::audit(&call, (provider.word, Some(&provider.id)), "", &refusal, Some(address)).await?;
            let message = "what the provider answered does not prove who you are: go back, and sign in once more";
            return Err(Failure::new(ErrorCode::InvalidToken, message).because(refusal.to_string()));
        }
    };
    let provider_name = provider.name;
    let introduction = Introduction { proven, provider_name, address: address.clone(), whose, leaving: Leaving::Ask };
    let person = match introduce(&call, &introduction).await? {
        // The person is asked whether it is theirs, in the session that it began in.
        Known::Question(handle) => return Ok(Reply::see_other(&format!("{}?handle={handle}", LINK_SHOW.path))),
        // So is who asked to be erased: whether they stay.
        Known::Leaving(handle) => return Ok(Reply::see_other(&format!("{}?handle={handle}", STAY_SHOW.path))),
        Known::Person(person) => person,
    };
    call.is_about(Some(person.uid.as_str()), None);
    let agent = call.headers.get(header::USER_AGENT).and_then(text).unwrap_or_default();
    let replaces = cookie::sent(&call, Cookie::Session);
    let body = json!({"uid": person.uid, "names": person.names, "agent": agent, "address": address, "replaces": replaces,
        "generation": person.generation,        "proven_at": person.proven_at});
    let Begun { secret, seconds } = call.ask(&INTERNAL_BEGIN_BROWSER, &body).await??;
    let cookie = Cookie::Session.set(&call.settings.issuer, &secret, seconds);
    // A form led here, ours or the provider's: the browser would hold a redirect to an app to the policy of the page with the form.
    let by_form = by_mail || matches!(provider.kind, Kind::Saml(_));
    let reply = if by_form { tmcp_pages::go(&go_on)? } else { Reply::see_other(&go_on) };
    Ok(reply.header(header::SET_COOKIE, &cookie))
}
