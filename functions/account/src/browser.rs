//! Browser sessions: a random id in a cookie, its hash in a row. A session begins when a person was handed over by a client that they
//! are signed in with, always under a new id, and ends with that client's session, after a day unused, or after two weeks.

use crate::sql::{self, HolderRow};
use http::header;
use std::fmt::Write;
use tmcp_http::body;
use tmcp_http::people::Names;
use tmcp_http::subject::{self, Held, PLATFORM, SubjectId};
use tmcp_http::{Call, Failure, same_secret, sha256_hex};
use tmcp_ports::{Platform, Sql, stmt};
use tmcp_protocol::{ErrorCode, Millis, Uid};

/// A session that nobody used for so long is over.
pub const IDLE_MS: i64 = 24 * 60 * 60 * 1000;
/// A session lasts so long at most.
pub const LIFE_MS: i64 = 14 * 24 * 60 * 60 * 1000;

/// A person in a browser.
pub struct Browser {
    /// The session's id, which signs nobody in.
    pub id: String,
    /// The person.
    pub uid: Uid,
    /// Their names in tokens.
    pub names: Names,
    /// The platform session that it came from.
    pub held: Held,
    secret: String,
}

/// The forms of our pages, each with a token of its own.
#[derive(Debug, Clone, Copy)]
pub enum Form {
    /// An app's question.
    Consent,
    /// Taking back what an app may do.
    Revoke,
    /// Ending a session.
    End,
    /// A device's code.
    Device,
    /// Going on as the person of a hand-over.
    GoOn,
}

impl Form {
    const fn as_str(self) -> &'static str {
        match self {
            Form::Consent => "consent",
            Form::Revoke => "revoke",
            Form::End => "end",
            Form::Device => "device",
            Form::GoOn => "go_on",
        }
    }
}

/// The form's token for whoever has `secret`.
pub fn token(form: Form, secret: &str) -> String {
    sha256_hex(format!("tmcp-form\n{}\n{secret}", form.as_str()))
}

impl Browser {
    /// What a form of this session carries.
    pub fn token(&self, form: Form) -> String {
        token(form, &self.secret)
    }
}

/// Our cookies.
#[derive(Debug, Clone, Copy)]
pub enum Cookie {
    /// A browser session. Lax: a link of an app's leads here with it.
    Session,
    /// The browser that a hand-over's question was shown in. Strict: only our page's own form comes with it.
    HandOver,
}

impl Cookie {
    /// The name. The prefix holds the browser to the attributes, and needs https; over http, which is for development on one machine,
    /// there is none.
    fn name(self, issuer: &str) -> &'static str {
        match (self, is_https(issuer)) {
            (Cookie::Session, true) => "__Host-tmcp_session",
            (Cookie::Session, false) => "tmcp_session",
            (Cookie::HandOver, true) => "__Host-tmcp_hand_over",
            (Cookie::HandOver, false) => "tmcp_hand_over",
        }
    }

    /// A `Set-Cookie` that puts it into the browser, or takes it out where it lives for no second.
    pub fn set(self, issuer: &str, secret: &str, seconds: i64) -> String {
        let site = match self {
            Cookie::Session => "Lax",
            Cookie::HandOver => "Strict",
        };
        let mut text = format!("{}={secret}; Path=/; HttpOnly; SameSite={site}; Max-Age={seconds}", self.name(issuer));
        if is_https(issuer) {
            let _ = write!(text, "; Secure");
        }
        text
    }
}

fn is_https(issuer: &str) -> bool {
    issuer.starts_with("https://")
}

/// What the browser sent of a cookie.
pub fn sent<P: Platform>(call: &Call<P>, cookie: Cookie) -> Option<String> {
    let name = cookie.name(&call.settings.issuer);
    let cookies = call.headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(found, _)| *found == name).map(|(_, value)| value.to_owned())
}

/// Used later than that, a session is not over.
pub fn idle_since(now: Millis) -> Millis {
    now.plus(-IDLE_MS)
}

/// Who is there; `None` where nobody is signed in.
pub async fn current<P: Platform>(call: &Call<P>) -> Result<Option<Browser>, Failure> {
    let Some(secret) = sent(call, Cookie::Session) else { return Ok(None) };
    let now = call.now();
    let used = stmt!(sql::USE_BROWSER, sha256_hex(&secret), now, idle_since(now));
    let row: Option<HolderRow> = call.platform.sql().first(used).await?;
    let Some(row) = row else { return Ok(None) };
    call.is_about(Some(row.uid.as_str()), None);
    let held = Held { generation: row.generation, session: row.platform_session };
    // Logging out removes the row; what ends all of a person's sessions raises the subject.
    if !subject::holds(&call.platform, &SubjectId::user(&row.uid, PLATFORM), held.clone()).await? {
        call.platform.sql().query(stmt!(sql::END_BROWSER, row.uid.as_str(), row.id)).await?;
        return Ok(None);
    }
    Ok(Some(Browser { id: row.id, uid: row.uid, names: Names::parse(&row.subject)?, held, secret }))
}

/// Who sent a form of ours; refuses one that another page made up.
pub async fn sender<P: Platform>(call: &Call<P>, kind: Form, form: &body::Form) -> Result<Browser, Failure> {
    let signed_out = || Failure::new(ErrorCode::InvalidToken, "this browser is signed out: sign in, and try once more");
    let browser = current(call).await?.ok_or_else(signed_out)?;
    if same_secret(form.get("token").unwrap_or_default(), &browser.token(kind)) {
        return Ok(browser);
    }
    let message = "this form is not of this session any more: go back, load the page again, and try once more";
    Err(Failure::invalid(message).because("wrong form token"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forms_token_is_of_one_form_and_one_session() {
        assert_eq!(token(Form::Revoke, "a"), token(Form::Revoke, "a"));
        assert_ne!(token(Form::Revoke, "a"), token(Form::End, "a"));
        assert_ne!(token(Form::Revoke, "a"), token(Form::Revoke, "b"));
    }

    #[test]
    fn a_cookie_is_for_this_host_and_no_script() {
        let set = |cookie: Cookie, issuer: &str| cookie.set(issuer, "s", 60);
        let (https, http) = ("https://tmcp.example", "http://127.0.0.1:8080");
        assert_eq!(set(Cookie::Session, https), "__Host-tmcp_session=s; Path=/; HttpOnly; SameSite=Lax; Max-Age=60; Secure");
        assert_eq!(
            set(Cookie::HandOver, https),
            "__Host-tmcp_hand_over=s; Path=/; HttpOnly; SameSite=Strict; Max-Age=60; Secure"
        );
        assert_eq!(set(Cookie::Session, http), "tmcp_session=s; Path=/; HttpOnly; SameSite=Lax; Max-Age=60");
    }
}
