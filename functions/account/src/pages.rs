//! The pages: plain HTML that works without scripts, by keyboard and when read aloud. What they show is escaped by the templates.

use crate::browser::{Browser, Form};
use crate::client::Client;
use askama::Template;
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFRESH};
use tmcp_http::{Call, Failure, Reply, page};
use tmcp_ports::Platform;
use tmcp_protocol::{Millis, Scope, ScopeSet};
use url::Url;

fn rendered(template: &impl Template) -> Result<Reply, Failure> {
    Ok(Reply::page(template.render().map_err(|error| Failure::internal(error.to_string()))?))
}

/// A day, for a person: `2026-11-22`.
pub fn day(at: Millis) -> String {
    at.rfc3339().chars().take(10).collect()
}

/// A minute, for a person: `2026-11-22 18:03 UTC`.
pub fn minute(at: Millis) -> String {
    let text: String = at.rfc3339().chars().take(16).collect();
    format!("{} UTC", text.replace('T', " "))
}

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

/// A provider that people can sign in with.
#[derive(Clone)]
pub struct Way {
    /// Its id.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// Where it begins.
    pub address: String,
}

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage<'a> {
    app: Option<&'a str>,
    ways: &'a [Way],
}

/// Nobody is signed in.
pub fn sign_in(client: Option<&Client>, ways: &[Way]) -> Result<Reply, Failure> {
    rendered(&SignInPage { app: client.map(|client| client.name.as_str()), ways })
}

#[derive(Template)]
#[template(path = "go_on.html")]
struct GoOnPage<'a> {
    person: &'a str,
    handle: &'a str,
    on: &'a str,
    token: &'a str,
}

/// Whether to go on as this person.
pub fn go_on(person: &str, handle: &str, on: &str, token: &str) -> Result<Reply, Failure> {
    rendered(&GoOnPage { person, handle, on, token })
}

#[derive(Template)]
#[template(path = "go.html")]
struct GoPage<'a> {
    to: &'a str,
}

/// The browser goes on to `to` by itself, yet not by redirect: browsers hold every redirect that a form leads to to the policy of the
/// page with the form, and this may go on to an app.
pub fn go(to: &str) -> Result<Reply, Failure> {
    Ok(rendered(&GoPage { to })?.header(REFRESH, &format!("0; url={to}")))
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

#[derive(Template)]
#[template(path = "link.html")]
struct LinkPage<'a> {
    person: &'a str,
    name: &'a str,
    handle: &'a str,
    token: String,
}

/// Whether an identity is the person's.
pub fn link(browser: &Browser, name: &str, handle: &str) -> Result<Reply, Failure> {
    rendered(&LinkPage { person: browser.names.shown(), name, handle, token: browser.token(Form::Link) })
}

/// An identity that a person signs in with.
pub struct IdentityEntry {
    /// What names it in a form.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// Since when.
    pub since: String,
    /// When it was last signed in with.
    pub used: String,
    /// Whether apps know them by it.
    pub primary: bool,
    /// Whether apps could.
    pub matrix: bool,
    /// The id of the provider that it is signed in with.
    pub way: Option<String>,
}

/// An app that a person agreed to.
pub struct AppEntry {
    /// Its id.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// Since when.
    pub since: String,
    /// What it may do.
    pub scopes: Vec<String>,
}

/// A browser that a person is signed in with.
pub struct BrowserEntry {
    /// The session's id.
    pub id: String,
    /// What the browser called itself.
    pub agent: String,
    /// From where, truncated.
    pub address: String,
    /// When it began.
    pub begun: String,
    /// When it was last used.
    pub used: String,
    /// Whether it is the one that shows the page.
    pub is_this: bool,
}

/// A person's account.
#[derive(Template)]
#[template(path = "account.html")]
pub struct AccountPage<'a> {
    /// What the page calls them.
    pub person: &'a str,
    /// Their apps.
    pub apps: Vec<AppEntry>,
    /// Where they come from.
    pub identities: Vec<IdentityEntry>,
    /// What they can link.
    pub ways: Vec<Way>,
    /// What they can prove with once more who they are.
    pub own_ways: Vec<Way>,
    /// Whether they signed in a moment ago.
    pub fresh: bool,
    /// The token of the forms that link.
    pub link_token: String,
    /// Their browsers.
    pub browsers: Vec<BrowserEntry>,
    /// The token of the forms that take back.
    pub revoke_token: String,
    /// The token of the forms that end a session.
    pub end_token: String,
}

/// The account.
pub fn account(page: &AccountPage<'_>) -> Result<Reply, Failure> {
    rendered(page)
}

/// GET /account/style.css
pub async fn style<P: Platform>(_: Call<P>) -> Result<Reply, Failure> {
    let reply = Reply::text("text/css; charset=utf-8", include_str!("../templates/style.css").to_owned());
    Ok(reply.header(CACHE_CONTROL, "public, max-age=3600"))
}
