//! Why somebody is not who they say.

use serde_json::json;
use tmcp_http::audit::Entry;
use tmcp_http::{Call, Failure};
use tmcp_ports::{Platform, Sql};

/// Why credentials prove nothing. For the audit log; the caller gets one message for all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The server of that id is not one of ours.
    #[error("unknown homeserver")]
    UnknownHomeserver,
    /// The homeserver does not know the token, or no longer.
    #[error("token refused by the homeserver")]
    Token,
    /// The token is another user's.
    #[error("token of another user")]
    AnotherUser,
    /// Guests cannot sign in.
    #[error("guest")]
    Guest,
    /// Users of an Application Service cannot sign in.
    #[error("application service user")]
    ApplicationService,
    /// The OpenID token was used here before.
    #[error("OpenID token used before")]
    Replayed,
    /// A SAML assertion came a second time.
    #[error("assertion used before")]
    AssertionReplayed,
    /// A provider's answer does not hold.
    #[error("{0}")]
    Provider(&'static str),
    /// The account is suspended.
    #[error("suspended")]
    Suspended,
    /// The person asked to be erased.
    #[error("going to be erased")]
    Leaving,
}

/// One audit row about a sign-in at a provider, or by Matrix token without one. `claimed` is whom it claimed to be, as far as that is known.
pub async fn audit<P: Platform>(
    call: &Call<P>,
    (kind, provider): (&str, Option<&str>),
    claimed: &str,
    refusal: &Refusal,
    address: Option<String>,
) -> Result<(), Failure> {
    let detail = Some(json!({"reason": refusal.to_string(), "provider": provider}));
    let (action, target) = (format!("sign_in.{kind}"), Some(claimed).filter(|claimed| !claimed.is_empty()));
    let entry = Entry { action: &action, outcome: "refused", target, address, detail, ..Entry::default() };
    call.platform.sql().query(call.audit(entry)).await?;
    Ok(())
}
