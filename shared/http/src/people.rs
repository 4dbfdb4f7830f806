//! Whom a person's own token stands for: a platform token, or a Matrix access token, which the homeserver is asked about.

use crate::call::Call;
use crate::caller::{self, Caller};
use crate::failure::Failure;
use crate::subject::{self, Held, PLATFORM, SubjectId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tmcp_ports::Platform;
use tmcp_protocol::limits::LimitClass;
use tmcp_protocol::routes::{INTERNAL_VERIFY, Route};
use tmcp_protocol::token::{AuthLevel, PlatformClaims, TokenError};
use tmcp_protocol::{ErrorCode, MatrixUserId, Millis, Uid};

/// What tokens say of a person beside the internal id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Names {
    /// The Matrix id, of those who have one: the others have an account, and no app can know them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sub: Option<MatrixUserId>,
    /// What pages call those who have no Matrix id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The wallet.
    pub wallet_id: String,
    /// How strong the sign-in was.
    #[serde(default, skip_serializing_if = "AuthLevel::is_full")]
    pub level: AuthLevel,
}

impl Names {
    /// Reads what [`Names::text`] wrote.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        serde_json::from_slice(text.as_bytes()).map_err(|error| Failure::internal(error.to_string()))
    }

    /// The Matrix id, or `matrix_identity_required`: the `sub` of a TEP is a Matrix id (TMCP 1.7).
    pub fn matrix(&self) -> Result<&MatrixUserId, Failure> {
        let message = "this needs a Matrix identity, and this account has none";
        self.sub.as_ref().ok_or_else(|| Failure::new(ErrorCode::MatrixIdentityRequired, message))
    }

    /// What a page calls them.
    pub fn shown(&self) -> &str {
        self.sub.as_ref().map(MatrixUserId::as_str).or(self.name.as_deref()).unwrap_or("somebody whom this session does not name")
    }

    /// As they are kept beside what was granted on them.
    pub fn text(&self) -> Result<String, Failure> {
        serde_json::to_string(self).map_err(|error| Failure::internal(error.to_string()))
    }
}

impl From<&PlatformClaims> for Names {
    fn from(claims: &PlatformClaims) -> Self {
        let (sub, wallet_id) = (claims.matrix_user_id.clone(), claims.wallet_id.clone());
        Self { sub, name: claims.name.clone(), wallet_id, level: claims.level }
    }
}

/// Refuses who signed in by OpenID token: a widget can get one without the person knowing, so that it decides nothing.
pub fn may_decide(level: AuthLevel) -> Result<(), Failure> {
    match level.is_full() {
        true => Ok(()),
        false => Err(Failure::new(ErrorCode::InsufficientPermissions, "sign in with a Matrix access token to decide this")),
    }
}

/// A person, as their token proves them.
#[derive(Debug, Clone)]
pub struct Person {
    /// Internal id.
    pub uid: Uid,
    /// What their tokens say.
    pub names: Names,
    /// The platform session; its id is empty where it was a Matrix token, with the generation from before identity answered.
    pub held: Held,
}

/// What identity says about proven credentials.
#[derive(Debug, Serialize, Deserialize)]
pub struct Verified {
    /// The person.
    pub uid: Uid,
    /// What their tokens say.
    pub names: Names,
    /// Kind of the identity that was used.
    pub provider: String,
    /// The person as a client is told of them.
    pub user: Value,
    /// The generation of their platform subject from before it was certain that they may come in: whatever ends their sessions after that
    /// ends what begins with it.
    pub generation: i64,
    /// When they proved who they are; 0 where nobody knows.
    pub proven_at: Millis,
}

/// Asks identity about Matrix credentials, or broker about a code; `None` where they prove nothing. The source address goes along for the
/// audit log.
pub async fn verify<P: Platform>(call: &Call<P>, asked: &Route, mut credentials: Value) -> Result<Option<Verified>, Failure> {
    if let Some(credentials) = credentials.as_object_mut() {
        credentials.insert("address".to_owned(), json!(call.address.truncated()));
    }
    match call.ask::<Verified>(asked, &credentials).await? {
        Ok(verified) => Ok(Some(verified)),
        Err(refused) if refused.status == 401 => Ok(None),
        Err(refused) if refused.code == ErrorCode::NotFound.as_str() => Err(Failure::new(ErrorCode::NotFound, refused.message)),
        Err(refused) => Err(refused.into()),
    }
}

/// What pages call somebody without a Matrix id: their name at the provider, and the provider's, since anybody can call themselves
/// anything there, even by somebody's Matrix id.
pub fn label(username: &str, provider: &str) -> String {
    // Nothing that is not seen, or turns what is seen around.
    let is_seen = |letter: &char| {
        let hidden = matches!(*letter, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
        !letter.is_control() && !hidden
    };
    let seen: String = username.chars().filter(is_seen).take(64).collect();
    format!("{} ({provider})", seen.trim())
}

/// Whose token it is, or why it is nobody's, for the log. One that has the form of a token of ours is judged as such; any other goes
/// to the homeserver. Whether a platform session still lives is left to the caller, who may have something to store first:
/// [`is_alive`].
pub async fn of_token<P: Platform>(
    call: &Call<P>,
    token: &str,
    matrix_user_id: Option<MatrixUserId>,
) -> Result<Result<Person, String>, Failure> {
    match caller::verify(&call.platform, &call.settings, token, call.now()).await? {
        Ok(verified) => Ok(match verified.caller {
            Caller::Platform(claims) => Ok(Person {
                uid: claims.sub.clone(),
                names: Names::from(&*claims),
                held: Held { generation: claims.generation, session: claims.session_id.clone() },
            }),
            _ => Err("an app's token, not the person's".to_owned()),
        }),
        // Three parts with a header of ours that is not right is a token of ours that is not right.
        Err(error) if error != TokenError::Malformed => Ok(Err(error.to_string())),
        Err(_) if token.starts_with("tep.") => Ok(Err("a malformed TEP".to_owned())),
        Err(_) => {
            // As strict as a sign-in, since it is one.
            call.draw(&SubjectId::address(&call.address), LimitClass::SignIn).await?;
            let credentials = json!({ "matrix_user_id": matrix_user_id, "access_token": token });
            let Some(verified) = verify(call, &INTERNAL_VERIFY, credentials).await? else {
                return Ok(Err("refused by identity".to_owned()));
            };
            let held = Held { generation: verified.generation, session: String::new() };
            Ok(Ok(Person { uid: verified.uid, names: verified.names, held }))
        }
    }
}

/// Whether the platform session of the token still lives; a Matrix token was asked about just now.
pub async fn is_alive<P: Platform>(call: &Call<P>, person: &Person) -> Result<bool, Failure> {
    if person.held.session.is_empty() {
        return Ok(true);
    }
    subject::holds(&call.platform, &SubjectId::user(&person.uid, PLATFORM), person.held.clone()).await
}

#[cfg(test)]
mod tests {
    use super::label;

    #[test]
    fn a_label_names_the_provider_and_hides_nothing() {
        assert_eq!(label("carol", "Work"), "carol (Work)");
        assert_eq!(label("@alice:hs", "Work"), "@alice:hs (Work)");
        assert_eq!(label(" a\u{202e}b\n\u{200b}c ", "Work"), "abc (Work)");
        assert_eq!(label(&"x".repeat(300), "W"), format!("{} (W)", "x".repeat(64)));
    }
}
