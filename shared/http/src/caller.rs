//! Who calls: tokens are verified here, and nowhere else.

use crate::failure::Failure;
use crate::headers::text;
use crate::settings::Settings;
use crate::subject::{Held, PLATFORM, SubjectId};
use http::{HeaderMap, header};
use std::sync::Arc;
use tmcp_ports::{Memo, Platform, Signer};
use tmcp_protocol::Millis;
use tmcp_protocol::token::{ClientClaims, DeveloperClaims, Kind, PlatformClaims, TepClaims, TokenError, TokenKind, Unverified};

/// How long a verified signature is remembered, at most; a token's own end comes first.
const REMEMBER_MS: i64 = 5 * 60 * 1000;

/// Who calls, as proven.
#[derive(Clone)]
pub enum Caller {
    /// Nobody that we know.
    Nobody,
    /// A person, signed in to the platform.
    Platform(Arc<PlatformClaims>),
    /// A person in a mini-app.
    Tep(Arc<TepClaims>),
    /// An app's backend, acting for nobody.
    Client(Arc<ClientClaims>),
    /// A person who makes mini-apps.
    Developer(Arc<DeveloperClaims>),
    /// The operator.
    Operator,
    /// The administrator.
    Administrator,
    /// The developers' console, acting for nobody.
    Console,
    /// A homeserver, by its name, and what we show it.
    Homeserver(Arc<tmcp_protocol::appservice::Registration>),
    /// Another function.
    Service,
}

impl Caller {
    /// The subject whose buckets and generation count, and the part of the token that can be revoked.
    pub fn subject(&self) -> Option<(SubjectId, Held)> {
        match self {
            Caller::Platform(claims) => Some((
                SubjectId::user(&claims.sub, PLATFORM),
                Held { generation: claims.generation, session: claims.session_id.clone() },
            )),
            Caller::Tep(claims) => Some((
                SubjectId::user(&claims.uid, claims.aud.as_str()),
                Held { generation: claims.generation, session: claims.session_id.clone() },
            )),
            Caller::Client(claims) => {
                Some((SubjectId::client(&claims.client_id), Held { generation: claims.generation, session: claims.jti.clone() }))
            }
            // The person's own: whatever signs them out everywhere signs them out here.
            Caller::Developer(claims) => Some((
                SubjectId::user(&claims.uid, PLATFORM),
                Held { generation: claims.generation, session: claims.session_id.clone() },
            )),
            _ => None,
        }
    }

    /// User and app, for the log.
    pub(crate) fn names(&self) -> (Option<String>, Option<String>) {
        match self {
            Caller::Platform(claims) => (Some(claims.sub.to_string()), Some(PLATFORM.to_owned())),
            Caller::Tep(claims) => (Some(claims.uid.to_string()), Some(claims.aud.to_string())),
            Caller::Client(claims) => (None, Some(claims.aud.to_string())),
            Caller::Developer(claims) => (Some(claims.uid.to_string()), Some(PLATFORM.to_owned())),
            _ => (None, None),
        }
    }
}

/// The bearer token of a request (RFC 6750 section 2.1); `None` where there is none.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = text(headers.get(header::AUTHORIZATION)?)?.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty()).then(|| token.trim())
}

/// A token whose signature and claims hold; whether it was revoked is the subject's to say.
#[derive(Clone)]
pub struct Verified {
    /// Who it stands for.
    pub caller: Caller,
    /// When it ends.
    pub until: Millis,
}

/// Reads the claims of a token whose signature holds.
pub(crate) type Read = fn(&Unverified<'_>, &str, Millis) -> Result<Verified, TokenError>;

fn claims<K: Kind>(
    token: &Unverified<'_>,
    issuer: &str,
    now: Millis,
    wrap: fn(Arc<K>) -> Caller,
) -> Result<Verified, TokenError> {
    token.check::<K>(issuer, now).map(|(claims, until)| Verified { caller: wrap(Arc::new(claims)), until })
}

/// Tokens of people, and of apps.
pub(crate) fn read(token: &Unverified<'_>, issuer: &str, now: Millis) -> Result<Verified, TokenError> {
    match token.kind() {
        TokenKind::Platform => claims(token, issuer, now, Caller::Platform),
        TokenKind::Tep => claims(token, issuer, now, Caller::Tep),
        TokenKind::Client => claims(token, issuer, now, Caller::Client),
        TokenKind::Developer => Err(TokenError::OtherKind),
    }
}

/// Tokens of developers.
pub(crate) fn read_developer(token: &Unverified<'_>, issuer: &str, now: Millis) -> Result<Verified, TokenError> {
    match token.kind() {
        TokenKind::Developer => claims(token, issuer, now, Caller::Developer),
        _ => Err(TokenError::OtherKind),
    }
}

async fn check<P: Platform>(
    platform: &P,
    settings: &Settings,
    text: &str,
    now: Millis,
    read: Read,
) -> Result<Result<Verified, TokenError>, Failure> {
    let token = match Unverified::parse(text) {
        Ok(token) => token,
        Err(error) => return Ok(Err(error)),
    };
    let Some(key) = settings.jwks.find(token.kid()) else { return Ok(Err(TokenError::Key)) };
    if !platform.signer().verify(key, token.signing_input(), token.signature()).await? {
        return Ok(Err(TokenError::Signature));
    }
    Ok(read(&token, &settings.issuer, now))
}

/// Verifies a token of a person or an app: signature first, then claims. What verified is remembered for a while, by the token itself:
/// nothing reads the memory's names.
pub async fn verify<P: Platform>(
    platform: &P,
    settings: &Settings,
    text: &str,
    now: Millis,
) -> Result<Result<Verified, TokenError>, Failure> {
    verify_as(platform, settings, text, now, read).await
}

/// Whether a token is one of a developer, by their id.
pub async fn is_developers<P: Platform>(
    platform: &P,
    settings: &Settings,
    text: &str,
    now: Millis,
    developer: &str,
) -> Result<bool, Failure> {
    let verified = verify_as(platform, settings, text, now, read_developer).await?;
    Ok(matches!(verified, Ok(Verified { caller: Caller::Developer(claims), .. }) if claims.developer_id == developer))
}

/// The same for what `read` reads.
pub(crate) async fn verify_as<P: Platform>(
    platform: &P,
    settings: &Settings,
    text: &str,
    now: Millis,
    read: Read,
) -> Result<Result<Verified, TokenError>, Failure> {
    if !P::Memo::REMEMBERS {
        return check(platform, settings, text, now, read).await;
    }
    // Nothing else has a name like a token's, and naming it by its hash would take longer than finding it.
    if let Some(found) = platform.memo().get::<Verified>(text, now) {
        return Ok(Ok(found));
    }
    let outcome = check(platform, settings, text, now, read).await?;
    if let Ok(verified) = &outcome {
        platform.memo().put(text, verified.clone(), verified.until.min(now.plus(REMEMBER_MS)));
    }
    Ok(outcome)
}
