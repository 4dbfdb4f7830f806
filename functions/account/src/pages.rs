//! The pages: plain HTML that works without scripts, by keyboard and when read aloud. What they show is escaped by the templates.

use crate::account_page::App;
use crate::profile::Profile;
use askama::Template;
use http::StatusCode;
use http::header::CACHE_CONTROL;
use tmcp_http::{Call, Failure, Reply};
use tmcp_pages::{Browser, Form, rendered, text};
use tmcp_ports::Platform;

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
pub fn sign_in(app: Option<&str>, ways: &[Way]) -> Result<String, Failure> {
    text(&SignInPage { app, ways })
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

#[derive(Template)]
#[template(path = "leave.html")]
struct LeavePage<'a> {
    person: &'a str,
    token: String,
}

/// Whether the account is to be erased.
pub fn leave(browser: &Browser) -> Result<Reply, Failure> {
    rendered(&LeavePage { person: browser.names.shown(), token: browser.token(Form::Leave) })
}

#[derive(Template)]
#[template(path = "left.html")]
struct LeftPage<'a> {
    on: &'a str,
}

/// It is going to be.
pub fn left(on: &str) -> Result<Reply, Failure> {
    Ok(rendered(&LeftPage { on })?.with_status(StatusCode::ACCEPTED))
}

#[derive(Template)]
#[template(path = "stay.html")]
struct StayPage<'a> {
    on: &'a str,
    handle: &'a str,
}

/// Whether somebody who is leaving stays.
pub fn stay(on: &str, handle: &str) -> Result<Reply, Failure> {
    rendered(&StayPage { on, handle })
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
    /// What they are called; none where identity cannot say.
    pub profile: Option<Profile>,
    /// The token of the form that changes it.
    pub profile_token: String,
    /// Their apps.
    pub apps: Vec<App>,
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
    /// The token of the forms that take data along.
    pub leave_token: String,
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
