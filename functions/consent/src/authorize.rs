//! GET /oauth2/authorize (RFC 6749 section 4.1.1, RFC 7636, RFC 9207): an app sends a person here, who lets it in or does not.
//!
//! | answer | when |
//! |---|---|
//! | 303 to the app | `code`, `state` and `iss`; or `error`, `error_description`, `state` and `iss` |
//! | 200, a page | nobody is signed in, or a scope has to be agreed to |
//! | 400, a page | no such client, or not its address: nobody is told by redirect |
//!
//! The request is not kept: from wherever the browser comes back, it comes with the same request, which is checked anew. What if it
//! dies? Nothing was promised until the code is stored; a code that nobody came for is over in a minute.

use crate::authorize_request::{self, AuthorizeRequest, Wrong};
use crate::browser;
use crate::client::{self, Client};
use crate::pages::{self, Wanted};
use crate::questions::{self, Between};
use serde::Deserialize;
use serde_json::json;
use tmcp_http::subject::SubjectId;
use tmcp_http::{Call, Failure, Reply};
use tmcp_pages::Browser;
use tmcp_ports::Platform;
use tmcp_protocol::limits::LimitClass;
use tmcp_protocol::routes::{AUTHORIZE, INTERNAL_CODE};
use url::Url;

/// Who asks, and whether the request holds.
async fn checked<P: Platform>(call: &Call<P>, query: &str) -> Result<(Client, Result<AuthorizeRequest, Wrong>), Failure> {
    let parameters = match authorize_request::parameters(query) {
        Ok(parameters) => parameters,
        Err(message) => return Err(Failure::invalid(message)),
    };
    let id = parameters.get("client_id").ok_or_else(|| Failure::invalid("the app (client_id) is missing"))?;
    let client = client::look_up(call, id).await?.ok_or_else(|| Failure::invalid("there is no such app (client_id)"))?;
    let request = authorize_request::check(&parameters, &client);
    Ok((client, request))
}

/// To the app, with an answer. `iss` tells a client of several servers which one answered (RFC 9207).
fn back<P: Platform>(call: &Call<P>, redirect_uri: &str, answer: &[(&str, &str)]) -> Result<Reply, Failure> {
    address(call, redirect_uri, answer).map(|to| Reply::see_other(&to))
}

fn address<P: Platform>(call: &Call<P>, redirect_uri: &str, answer: &[(&str, &str)]) -> Result<String, Failure> {
    let mut to = Url::parse(redirect_uri).map_err(|error| Failure::internal(format!("a registered address: {error}")))?;
    to.query_pairs_mut().extend_pairs(answer).append_pair("iss", &call.settings.issuer);
    Ok(to.into())
}

/// The app's address, with the answer that the person does not come.
fn denied<P: Platform>(call: &Call<P>, request: &AuthorizeRequest, why: &str) -> Result<String, Failure> {
    let answer = [("error", "access_denied"), ("error_description", why), ("state", request.state.as_str())];
    address(call, &request.redirect_uri, &answer)
}

fn tell<P: Platform>(call: &Call<P>, wrong: &Wrong) -> Result<Reply, Failure> {
    match wrong {
        Wrong::Page(message) => Err(Failure::invalid(*message)),
        Wrong::Redirect { redirect_uri, state, error, description } => {
            let mut answer = vec![("error", *error), ("error_description", description.as_str())];
            answer.extend(state.as_deref().map(|state| ("state", state)));
            back(call, redirect_uri, &answer)
        }
    }
}

/// The handler.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let (client, request) = checked(&call, &call.query).await?;
    let request = match request {
        Ok(request) => request,
        Err(wrong) => return tell(&call, &wrong),
    };
    let browser = match browser::or_sign_in(&call, Some(&client)).await? {
        Ok(browser) => browser,
        Err(page) => return Ok(page),
    };
    call.is_about(Some(browser.uid.as_str()), Some(client.app_id.as_str()));
    if browser.names.sub.is_none() {
        let back = denied(&call, &request, "an app knows people by their Matrix id, and this one has none")?;
        return pages::no_matrix(&browser, &client, &back, &again(&call.query));
    }
    // Each way from here leaves a row behind.
    call.draw(&SubjectId::user(&browser.uid, client.app_id.as_str()), LimitClass::Consent).await?;
    let missing = questions::open_scopes(&call, &browser.uid, &client, &request.scopes).await?;
    if missing.is_empty() {
        return grant(&call, &browser, &client, &request).await;
    }
    let between = Between { uid: &browser.uid, client_id: &client.client_id, app_id: &client.app_id };
    let question = questions::ask(&call, between, &missing).await?;
    let wanted = Wanted::new(&browser, &client, &missing);
    pages::consent(&browser, wanted, &question, &call.query, Some(&request.redirect_uri))
}

#[derive(Deserialize)]
struct Code {
    code: String,
}

async fn grant<P: Platform>(
    call: &Call<P>,
    browser: &Browser,
    client: &Client,
    request: &AuthorizeRequest,
) -> Result<Reply, Failure> {
    let body = json!({
        "client_id": client.client_id, "app_id": client.app_id, "uid": browser.uid, "subject": browser.names.text()?,
        "scope": request.scopes, "redirect_uri": request.redirect_uri, "challenge": request.challenge,
        "platform_session": browser.held.session, "generation": browser.held.generation,
    });
    let Code { code } = call.ask(&INTERNAL_CODE, &body).await??;
    back(call, &request.redirect_uri, &[("code", &code), ("state", &request.state)])
}

/// The same request once more.
pub fn again(query: &str) -> String {
    format!("{}?{query}", AUTHORIZE.path)
}

/// To the app, which the person refused.
pub async fn refused<P: Platform>(call: &Call<P>, query: &str) -> Result<Reply, Failure> {
    match checked(call, query).await?.1 {
        Ok(request) => Ok(Reply::see_other(&denied(call, &request, "the person did not agree")?)),
        Err(wrong) => tell(call, &wrong),
    }
}
