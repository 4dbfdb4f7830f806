//! Browser sessions: a random id in a cookie, its hash in a row. A session begins when a person signed in at a provider, or was handed
//! over by a client that they are signed in with, always under a new id, and ends with that client's session, after a day unused, or
//! after two weeks.

use crate::sql::{self, HolderRow};
use http::{HeaderMap, header};
use tmcp_http::body;
use tmcp_http::cookie::{self, Cookie};
use tmcp_http::people::Names;
use tmcp_http::subject::{self, Held, PLATFORM, SubjectId};
use tmcp_http::{Call, Failure, same_secret, sha256_hex};
use tmcp_ports::{Platform, Random, Sql, stmt};
use tmcp_protocol::ids::ulid;
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
    /// When they last proved who they are.
    proven_at: Millis,
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
    /// Linking an identity, and taking one away.
    Link,
}

impl Form {
    const fn as_str(self) -> &'static str {
        match self {
            Form::Consent => "consent",
            Form::Revoke => "revoke",
            Form::End => "end",
            Form::Device => "device",
            Form::GoOn => "go_on",
            Form::Link => "link",
        }
    }
}

/// The form's token for whoever has `secret`.
pub fn token(form: Form, secret: &str) -> String {
    sha256_hex(format!("tmcp-form\n{}\n{secret}", form.as_str()))
}

/// A sign-in counts as one of a moment ago for so long.
const FRESH_MS: i64 = 10 * 60 * 1000;

impl Browser {
    /// Whether the person proved a moment ago who they are.
    pub fn is_fresh(&self, now: Millis) -> bool {
        self.proven_at > now.plus(-FRESH_MS)
    }

    /// What a form of this session carries.
    pub fn token(&self, form: Form) -> String {
        token(form, &self.secret)
    }
}

/// As much as is kept of what a browser calls itself.
const MAX_AGENT: usize = 200;

/// What a browser calls itself.
pub fn agent(headers: &HeaderMap) -> String {
    cut(headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default())
}

/// As much of it as is kept.
pub fn cut(agent: &str) -> String {
    agent.chars().take(MAX_AGENT).collect()
}

/// The id of a new session.
pub fn new_id<P: Platform>(call: &Call<P>) -> String {
    format!("browser_{}", ulid(call.now(), call.platform.random().bytes()))
}

/// Used later than that, a session is not over.
pub fn idle_since(now: Millis) -> Millis {
    now.plus(-IDLE_MS)
}

/// Who is there; `None` where nobody is signed in.
pub async fn current<P: Platform>(call: &Call<P>) -> Result<Option<Browser>, Failure> {
    let Some(secret) = cookie::sent(call, Cookie::Session) else { return Ok(None) };
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
    let names = Names::parse(&row.subject)?;
    Ok(Some(Browser { id: row.id, uid: row.uid, names, proven_at: row.proven_at, held, secret }))
}

/// Who is there; refuses where nobody is.
pub async fn required<P: Platform>(call: &Call<P>) -> Result<Browser, Failure> {
    let signed_out = || Failure::new(ErrorCode::InvalidToken, "this browser is signed out: sign in, and try once more");
    current(call).await?.ok_or_else(signed_out)
}

/// Who sent a form of ours; refuses one that another page made up.
pub async fn sender<P: Platform>(call: &Call<P>, kind: Form, form: &body::Form) -> Result<Browser, Failure> {
    let token = form.require("token")?;
    let browser = required(call).await?;
    if same_secret(token, &browser.token(kind)) {
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
}
