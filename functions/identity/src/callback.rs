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

use crate::refusal::Refusal;
use crate::transaction::{self, Bound, Finished};
use crate::{linking, providers, refusal, upstream, user};
use http::header;
use serde::Deserialize;
use serde_json::json;
use tmcp_http::body::Form;
use tmcp_http::cookie::{self, Cookie};
use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::Platform;
use tmcp_protocol::routes::{INTERNAL_BEGIN_BROWSER, LINK_SHOW, SIGN_IN_CALLBACK};
use tmcp_protocol::token::AuthLevel;
use tmcp_protocol::{ErrorCode, Millis};

#[derive(Deserialize)]
struct Begun {
    secret: String,
    seconds: i64,
}

/// The handler.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let provider = providers::find(&call, &call.rest_of_path(SIGN_IN_CALLBACK.prefix())?)?;
    let answer = Form::parse(call.query.as_bytes())?;
    let Finished { go_on, bound, proofs } = transaction::finish(&call, &provider.id, answer.require("state")?).await?;
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
    let refused = |refusal| refusal::audit(&call, provider.word, &provider.id, refusal, Some(address.clone()));
    let proven_at = outcome.as_ref().map_or(Millis(0), |proven| proven.proven_at);
    let user = match (outcome, bound) {
        (Ok(proven), None) => user::known(&call, &proven, Some(&address)).await?,
        // The person is asked whether it is theirs, in the session that it began in.
        (Ok(proven), Some(Bound { uid, session: Some(session) })) => {
            let handle = linking::keep(&call, &uid, &session, &proven).await?;
            return Ok(Reply::see_other(&format!("{}?handle={handle}", LINK_SHOW.path)));
        }
        (Ok(proven), Some(Bound { uid, session: None })) => {
            let found = user::find(&call, &proven, Some(&address)).await?.filter(|user| user.uid.as_str() == uid);
            let message = "this is none of the ways that you sign in with to the account that you are signed in to";
            found.ok_or_else(|| Failure::new(ErrorCode::InsufficientPermissions, message))?
        }
        (Err(refusal), _) => {
            refused(&refusal).await?;
            let message = "what the provider answered does not prove who you are: go back, and sign in once more";
            return Err(Failure::new(ErrorCode::InvalidToken, message).because(refusal.to_string()));
        }
    };
    call.is_about(Some(user.uid.as_str()), None);
    if let Some(told) = user.suspended(call.now()) {
        refused(&Refusal::Suspended).await?;
        return Err(Failure::suspended(told));
    }
    let agent = call.headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    let replaces = cookie::sent(&call, Cookie::Session);
    let (uid, names) = (user.uid.clone(), user.names(&provider.name, AuthLevel::Full));
    let body = json!({"uid": uid, "names": names, "agent": agent, "address": address, "replaces": replaces,
        "proven_at": proven_at});
    let Begun { secret, seconds } = call.ask(&INTERNAL_BEGIN_BROWSER, &body).await??;
    let cookie = Cookie::Session.set(&call.settings.issuer, &secret, seconds);
    Ok(Reply::see_other(&go_on).header(header::SET_COOKIE, &cookie))
}
