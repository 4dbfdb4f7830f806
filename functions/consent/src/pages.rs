//! The pages that ask: plain HTML that works without scripts, by keyboard and when read aloud. What they show is escaped by the
//! templates.

use crate::client::Client;
use askama::Template;
use http::StatusCode;
use http::header::CONTENT_SECURITY_POLICY;
use tmcp_http::{Failure, Reply, page};
use tmcp_pages::{Browser, Form, minute, rendered};
use tmcp_protocol::{Millis, Scope, ScopeSet};
use url::Url;

#[derive(Template)]
#[template(path = "no_matrix.html")]
struct NoMatrixPage<'a> {
    person: &'a str,
    app: &'a str,
    back: &'a str,
    again: &'a str,
    token: String,
}

/// An app wants in, and the person has no Matrix id that it could know them by: `back` leads to the app, `again` to the same request.
pub fn no_matrix(browser: &Browser, client: &Client, back: &str, again: &str) -> Result<Reply, Failure> {
    let (person, app, token) = (browser.names.shown(), client.name.as_str(), browser.token(Form::End));
    let reply = rendered(&NoMatrixPage { person, app, back, again, token })?;
    Ok(reply.with_status(StatusCode::FORBIDDEN))
}

/// One scope of a question.
pub struct Asked {
    what: &'static str,
    note: Option<&'static str>,
}

impl Asked {
    fn new(scope: Scope) -> Self {
        Self { what: scope.description(), note: scope.note() }
    }
}

/// What an app wants of whom.
pub struct Wanted<'a> {
    person: &'a str,
    app: &'a str,
    developer: Option<&'a str>,
    official: bool,
    scopes: Vec<Asked>,
}

impl<'a> Wanted<'a> {
    /// `client` wants `scopes` of the person in `browser`.
    pub fn new(browser: &'a Browser, client: &'a Client, scopes: &ScopeSet) -> Self {
        Self {
            person: browser.names.shown(),
            app: &client.name,
            developer: client.developer.as_deref(),
            official: client.official,
            scopes: scopes.iter().map(Asked::new).collect(),
        }
    }
}

#[derive(Template)]
#[template(path = "consent.html")]
struct ConsentPage<'a> {
    wanted: Wanted<'a>,
    question: &'a str,
    token: String,
    on: &'a str,
}

/// An app's question; `on` is the request that the browser is on its way with, empty where it is not. The form leads on to the app by
/// way of redirects, which browsers hold to the policy of the page with the form.
pub fn consent(
    browser: &Browser,
    wanted: Wanted<'_>,
    question: &str,
    on: &str,
    redirect_uri: Option<&str>,
) -> Result<Reply, Failure> {
    let reply = rendered(&ConsentPage { wanted, question, token: browser.token(Form::Consent), on })?;
    let origin = redirect_uri.and_then(|uri| Url::parse(uri).ok()).map(|url| url.origin().ascii_serialization());
    Ok(match origin {
        Some(origin) => reply.header(
            CONTENT_SECURITY_POLICY,
            &page::POLICY.replace("form-action 'self'", &format!("form-action 'self' {origin}")),
        ),
        None => reply,
    })
}

#[derive(Template)]
#[template(path = "device_code.html")]
struct DeviceCodePage<'a> {
    person: &'a str,
    token: &'a str,
    code: &'a str,
}

/// Where a device's code goes.
pub fn device_code(person: &str, token: &str, code: &str) -> Result<Reply, Failure> {
    rendered(&DeviceCodePage { person, token, code })
}

#[derive(Template)]
#[template(path = "device.html")]
struct DevicePage<'a> {
    wanted: Wanted<'a>,
    code: &'a str,
    address: &'a str,
    asked: String,
    token: String,
}

/// The question of a device; `address` and `at` say where from and when it asked.
pub fn device(browser: &Browser, wanted: Wanted<'_>, code: &str, address: &str, at: Millis) -> Result<Reply, Failure> {
    rendered(&DevicePage { wanted, code, address, asked: minute(at), token: browser.token(Form::Device) })
}

#[derive(Template)]
#[template(path = "done.html")]
struct DonePage {
    approved: bool,
}

/// The question is answered, and there is nowhere to go on to.
pub fn done(approved: bool) -> Result<Reply, Failure> {
    rendered(&DonePage { approved })
}
