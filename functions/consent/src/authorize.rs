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

use crate::authorize_request::{self, AuthorizeRequest};
use crate::client::{self, Client};
use crate::pages::{self, Wanted};
use crate::questions::{self, Between};
use serde::Deserialize;
use serde_json::json;
use tmcp_http::subject::SubjectId;
use tmcp_http::{Call, Failure, Reply};
use tmcp_pages::authorization::{self, Wrong};
use tmcp_pages::{Browser, seat};
use tmcp_ports::Platform;
use tmcp_protocol::limits::LimitClass;
use tmcp_protocol::routes::{AUTHORIZE, INTERNAL_CODE};

/// Who asks, and whether the request holds.
async fn checked<P: Platform>(call: &Call<P>, query: &str) -> Result<(Client, Result<AuthorizeRequest, Wrong>), Failure> {
    let parameters = match authorization::parameters(query) {
        Ok(parameters) => parameters,
        Err(message) => return Err(Failure::invalid(message)),
    };
    let id = parameters.get("client_id").ok_or_else(|| Failure::invalid("the app (client_id) is missing"))?;
    let client = client::look_up(call, id).await?.ok_or_else(|| Failure::invalid("there is no such app (client_id)"))?;
    let request = authorize_request::check(&parameters, &client);
    Ok((client, request))
}

/// The handler.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let (client, request) = checked(&call, &call.query).await?;
    let request = match request {
        Ok(request) => request,
        Err(wrong) => return authorization::tell(&call.settings.issuer, &wrong),
    };
    let browser = match seat::or_sign_in(&call, Some(&client.name)).await? {
        Ok(browser) => browser,
        Err(page) => return Ok(page),
    };
    call.is_about(Some(browser.uid.as_str()), Some(client.app_id.as_str()));
    if browser.names.sub.is_none() {
        let issuer = &call.settings.issuer;
        let back = request.asked.denied(issuer, "an app knows people by their Matrix id, and this one has none")?;
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
    pages::consent(&browser, wanted, &question, &call.query, Some(&request.asked.redirect_uri))
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
        "scope": request.scopes, "redirect_uri": request.asked.redirect_uri, "challenge": request.asked.challenge.as_str(),
        "platform_session": browser.held.session, "generation": browser.held.generation,
    });
    let Code { code } = call.ask(&INTERNAL_CODE, &body).await??;
    request.asked.granted(&call.settings.issuer, &code)
}

/// The same request once more.
pub fn again(query: &str) -> String {
    format!("{}?{query}", AUTHORIZE.path)
}

/// To the app, which the person refused.
pub async fn refused<P: Platform>(call: &Call<P>, query: &str) -> Result<Reply, Failure> {
    match checked(call, query).await?.1 {
        Ok(request) => Ok(Reply::see_other(&request.asked.denied(&call.settings.issuer, "the person did not agree")?)),
        Err(wrong) => authorization::tell(&call.settings.issuer, &wrong),
    }
}
