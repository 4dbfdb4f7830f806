//! GET and POST /oauth2/device (RFC 8628 section 3.3): a person enters the code that a device shows, sees what asks from where, and lets
//! it in or does not. The code is confirmed by hand even where it came with the address: somebody else may have sent that.
//!
//! | answer | when |
//! |---|---|
//! | 200, a page | where the code goes; what the device asks for; done |
//! | 400, a page | a form of another session, or no code |
//! | 404, a page | no such code: none, used, refused, or over |
//! | 429, a page | too many codes from one address, or by one person |
//!
//! The race and a death: the decision is one batch at auth, and counts once. What the person agrees to is remembered before, so that a
//! device that was let in never lacks it.

use crate::client;
use crate::pages::{self, Wanted};
use crate::questions::{self, Between, Method};
use serde::Deserialize;
use serde_json::{Value, json};
use tmcp_http::subject::{PLATFORM, SubjectId};
use tmcp_http::{Call, Failure, Reply};
use tmcp_pages::{Browser, Form, seat};
use tmcp_ports::Platform;
use tmcp_protocol::device::UserCode;
use tmcp_protocol::limits::LimitClass;
use tmcp_protocol::routes::{INTERNAL_DEVICE, INTERNAL_DEVICE_DECIDE};
use tmcp_protocol::{AppId, ClientId, ErrorCode, Millis, ScopeSet};

/// What a device asked for.
#[derive(Deserialize)]
struct Request {
    client_id: ClientId,
    app_id: AppId,
    scope: ScopeSet,
    address: String,
    created_at: Millis,
}

fn unknown() -> Failure {
    Failure::new(ErrorCode::NotFound, "no device shows this code: it was used already, its time is over, or a letter is wrong")
}

/// GET /oauth2/device
pub async fn show<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let browser = match seat::or_sign_in(&call, None).await? {
        Ok(browser) => browser,
        Err(page) => return Ok(page),
    };
    let code = call.parameter("user_code").and_then(|typed| UserCode::parse(&typed));
    pages::device_code(browser.names.shown(), &browser.token(Form::Device), &code.map(|code| code.shown()).unwrap_or_default())
}

async fn open<P: Platform>(call: &Call<P>, code: &UserCode) -> Result<Request, Failure> {
    match call.ask(&INTERNAL_DEVICE, &json!({ "user_code": code.as_str() })).await? {
        Ok(request) => Ok(request),
        Err(refused) if refused.status == 404 => Err(unknown()),
        Err(refused) => Err(refused.into()),
    }
}

/// POST /oauth2/device: without `decision` the question, with it the answer.
pub async fn answer<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let form = call.form()?;
    let typed = form.require("user_code")?;
    let browser = seat::sender(&call, Form::Device, &form).await?;
    // A person who guesses changes addresses.
    call.draw(&SubjectId::user(&browser.uid, PLATFORM), LimitClass::DeviceGuess).await?;
    let code = UserCode::parse(typed).ok_or_else(unknown)?;
    let request = open(&call, &code).await?;
    call.is_about(Some(browser.uid.as_str()), Some(request.app_id.as_str()));
    match questions::decision(&form)? {
        None => ask(&call, &browser, &code, &request).await,
        Some(allow) => decide(&call, &browser, &code, &request, allow).await,
    }
}

async fn ask<P: Platform>(call: &Call<P>, browser: &Browser, code: &UserCode, request: &Request) -> Result<Reply, Failure> {
    let client = client::look_up(call, request.client_id.as_str()).await?.ok_or_else(unknown)?;
    pages::device(browser, Wanted::new(browser, &client, &request.scope), &code.shown(), &request.address, request.created_at)
}

async fn decide<P: Platform>(
    call: &Call<P>,
    browser: &Browser,
    code: &UserCode,
    request: &Request,
    allow: bool,
) -> Result<Reply, Failure> {
    if allow {
        browser.names.matrix()?;
        let client = client::look_up(call, request.client_id.as_str()).await?.ok_or_else(unknown)?;
        let missing = questions::open_scopes(call, &browser.uid, &client, &request.scope).await?;
        if !missing.is_empty() {
            let between = Between { uid: &browser.uid, client_id: &request.client_id, app_id: &request.app_id };
            let question = questions::ask(call, between, &missing).await?;
            questions::answer(call, &browser.uid, &question, true, Method::Page).await?;
        }
    }
    let body = json!({
        "user_code": code.as_str(), "allow": allow, "app_id": request.app_id, "uid": browser.uid, "subject": browser.names.text()?,
        "platform_session": browser.held.session, "generation": browser.held.generation,
    });
    match call.ask::<Value>(&INTERNAL_DEVICE_DECIDE, &body).await? {
        Ok(_) => pages::done(allow),
        Err(refused) if refused.status == 404 => Err(unknown()),
        Err(refused) => Err(refused.into()),
    }
}
