//! Who sits at the browser, asked of account, which keeps the sessions.

use crate::browser::{Browser, Form, Session, signed_out};
use serde::Deserialize;
use serde_json::json;
use tmcp_http::body;
use tmcp_http::cookie::{self, Cookie};
use tmcp_http::{Call, Failure, Reply, sha256_hex};
use tmcp_ports::Platform;
use tmcp_protocol::routes::INTERNAL_BROWSER;

#[derive(Deserialize)]
struct Seat {
    session: Option<Session>,
    page: Option<String>,
}

async fn ask<P: Platform>(call: &Call<P>, here: Option<&str>, app: Option<&str>) -> Result<(Option<Browser>, Seat), Failure> {
    let secret = cookie::sent(call, Cookie::Session);
    let body = json!({"hash": secret.as_ref().map(sha256_hex), "here": here, "app": app});
    let mut seat: Seat = call.ask(&INTERNAL_BROWSER, &body).await??;
    let browser = seat.session.take().zip(secret).map(|(session, secret)| Browser::new(session, secret));
    if let Some(browser) = &browser {
        call.is_about(Some(browser.uid.as_str()), None);
    }
    Ok((browser, seat))
}

/// Who is there; `None` where nobody is signed in.
pub async fn current<P: Platform>(call: &Call<P>) -> Result<Option<Browser>, Failure> {
    match cookie::sent(call, Cookie::Session) {
        Some(_) => Ok(ask(call, None, None).await?.0),
        None => Ok(None),
    }
}

/// Who is there, or the page by which they sign in and come back; `app` is what sent them, as the page calls it.
pub async fn or_sign_in<P: Platform>(call: &Call<P>, app: Option<&str>) -> Result<Result<Browser, Reply>, Failure> {
    let (browser, seat) = ask(call, Some(&call.here()), app).await?;
    Ok(browser.ok_or_else(|| Reply::page(seat.page.unwrap_or_default())))
}

/// Who sent a form of ours; refuses one that another page made up.
pub async fn sender<P: Platform>(call: &Call<P>, kind: Form, form: &body::Form) -> Result<Browser, Failure> {
    let token = form.require("token")?;
    current(call).await?.ok_or_else(signed_out)?.sent(kind, token)
}
