//! What every function with pages shares: the frame of a page (`templates/base.html`), who sits at the browser (browser
//! sessions are account's; the other functions ask it), and what authorization requests have in common.

pub mod authorization;
mod browser;
pub mod seat;

pub use browser::{Browser, Form, Session, is_fresh, signed_out, stale, token};

use askama::Template;
use http::header::REFRESH;
use tmcp_http::{Failure, Reply};
use tmcp_protocol::Millis;

/// A page of a template.
pub fn rendered(template: &impl Template) -> Result<Reply, Failure> {
    text(template).map(Reply::page)
}

/// The text of a template.
pub fn text(template: &impl Template) -> Result<String, Failure> {
    template.render().map_err(|error| Failure::internal(error.to_string()))
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
#[template(path = "go.html")]
struct GoPage<'a> {
    to: &'a str,
}

/// The browser goes on to `to` by itself, yet not by redirect: browsers hold every redirect that a form leads to to the policy of the
/// page with the form, and this may go on to an app.
pub fn go(to: &str) -> Result<Reply, Failure> {
    Ok(rendered(&GoPage { to })?.header(REFRESH, &format!("0; url={to}")))
}
