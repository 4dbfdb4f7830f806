//! Who was proven, on the way from the function that proved it to identity.

use serde::{Deserialize, Serialize};
use tmcp_http::people::Verified;
use tmcp_http::{Call, Failure};
use tmcp_ports::Platform;
use tmcp_protocol::routes::INTERNAL_KNOWN;
use tmcp_protocol::{ErrorCode, Millis};

/// An identity that a provider vouches for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Proven {
    /// What the external id is unique within.
    pub instance: String,
    /// The person there; never changes, and never passes to somebody else.
    pub external_id: String,
    /// The provider's kind.
    pub kind: String,
    /// What they are called there.
    pub username: String,
    /// From their profile. A picture is never taken: its address leads anywhere.
    pub display_name: Option<String>,
    /// An address that the provider has verified.
    pub email: Option<String>,
    /// When the person proved there who they are; 0 where the provider does not say.
    pub proven_at: Millis,
}

/// Whom a sign-in is for, where it is for somebody who is signed in: they have to sign in anew.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Whose {
    /// The person.
    pub uid: String,
    /// The browser session that an identity is linked in; none where the person only proves once more who they are.
    pub session: Option<String>,
}

/// What identity is asked.
#[derive(Debug, Serialize, Deserialize)]
pub struct Introduction {
    /// Who was proven.
    pub proven: Proven,
    /// What people know it by.
    pub provider_name: String,
    /// Where the sign-in came from, truncated.
    pub address: String,
    /// Whom it is for; whoever comes, where it is none.
    pub whose: Option<Whose>,
    /// What becomes of somebody who asked to be erased.
    pub leaving: Leaving,
}

/// What becomes of somebody who asked to be erased, and signs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Leaving {
    /// They are asked whether they stay, on a page.
    Ask,
    /// They are refused.
    Refuse,
    /// They said that they stay.
    Keep,
}

/// What identity says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Known {
    /// The person.
    Person(Box<Verified>),
    /// The handle of a question: whether this is theirs.
    Question(String),
    /// The handle of another: whether they stay.
    Leaving(String),
}

/// Asks identity who this is. A person who is suspended, or another one than it was for, is refused by it.
pub async fn introduce<P: Platform>(call: &Call<P>, introduction: &Introduction) -> Result<Known, Failure> {
    match call.ask(&INTERNAL_KNOWN, introduction).await? {
        Err(refused) if refused.code == ErrorCode::InsufficientPermissions.as_str() => {
            Err(Failure::new(ErrorCode::InsufficientPermissions, refused.message))
        }
        answer => Ok(answer?),
    }
}
