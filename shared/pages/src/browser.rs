//! A person in a browser, and the forms that they send.

use serde::{Deserialize, Serialize};
use tmcp_http::people::Names;
use tmcp_http::subject::Held;
use tmcp_http::{Failure, same_secret, sha256_hex};
use tmcp_protocol::{ErrorCode, Millis, Uid};

/// A browser session, as account tells the others of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Session {
    /// The session's id, which signs nobody in.
    pub id: String,
    /// The person.
    pub uid: Uid,
    /// Their names in tokens.
    pub names: Names,
    /// When they last proved who they are.
    pub proven_at: Millis,
    /// The platform session that it came from.
    pub platform_session: String,
    /// Its generation.
    pub generation: i64,
}

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
    proven_at: Millis,
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
    /// Linking an identity, taking one away, and saying which one apps know.
    Link,
    /// Taking their data along, and leaving.
    Leave,
    /// Changing what they are called.
    Profile,
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
            Form::Leave => "leave",
            Form::Profile => "profile",
        }
    }
}

/// The form's token for whoever has `secret`.
pub fn token(form: Form, secret: &str) -> String {
    sha256_hex(format!("tmcp-form\n{}\n{secret}", form.as_str()))
}

/// A sign-in counts as one of a moment ago for so long.
const FRESH_MS: i64 = 10 * 60 * 1000;

/// Whether a person proved a moment ago who they are.
pub fn is_fresh(proven_at: Millis, now: Millis) -> bool {
    proven_at > now.plus(-FRESH_MS)
}

/// For whoever has to have done so, and has not.
pub fn stale() -> Failure {
    Failure::new(ErrorCode::InsufficientPermissions, "sign in once more first: this needs a sign-in of a moment ago")
}

/// For whoever has to be signed in, and is not.
pub fn signed_out() -> Failure {
    Failure::new(ErrorCode::InvalidToken, "this browser is signed out: sign in, and try once more")
}

impl Browser {
    /// Whoever has the cookie with `secret`.
    pub fn new(session: Session, secret: String) -> Self {
        let Session { id, uid, names, proven_at, platform_session, generation } = session;
        Self { id, uid, names, held: Held { generation, session: platform_session }, proven_at, secret }
    }

    /// Whether the person proved a moment ago who they are.
    pub fn is_fresh(&self, now: Millis) -> bool {
        is_fresh(self.proven_at, now)
    }

    /// What a form of this session carries.
    pub fn token(&self, form: Form) -> String {
        token(form, &self.secret)
    }

    /// Refuses a form that another page made up.
    pub fn sent(self, form: Form, token: &str) -> Result<Self, Failure> {
        if same_secret(token, &self.token(form)) {
            return Ok(self);
        }
        let message = "this form is not of this session any more: go back, load the page again, and try once more";
        Err(Failure::invalid(message).because("wrong form token"))
    }
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
