//! Who calls: tokens are verified here, and nowhere else.

use crate::failure::Failure;
use crate::settings::Settings;
use crate::sha256_hex;
use crate::subject::{Held, PLATFORM, SubjectId};
use http::{HeaderMap, header};
use std::sync::Arc;
use tmcp_ports::{Clock, Memo, Platform, Signer};
use tmcp_protocol::Millis;
use tmcp_protocol::token::{ClientClaims, Kind, PlatformClaims, TepClaims, TokenError, TokenKind, Unverified};

/// How long a verified signature is remembered, at most; a token's own end comes first.
const REMEMBER_MS: i64 = 5 * 60 * 1000;

/// Who calls, as proven.
#[derive(Debug, Clone)]
pub enum Caller {
    /// Nobody that we know.
    Nobody,
    /// A person, signed in to the platform.
    Platform(Arc<PlatformClaims>),
    /// A person in a mini-app.
    Tep(Arc<TepClaims>),
    /// An app's backend, acting for nobody.
    Client(Arc<ClientClaims>),
    /// The operator.
    Operator,
    /// The administrator.
    Administrator,
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
            _ => None,
        }
    }

    /// User and app, for the log.
    pub(crate) fn names(&self) -> (Option<String>, Option<String>) {
        match self {
            Caller::Platform(claims) => (Some(claims.sub.to_string()), Some(PLATFORM.to_owned())),
            Caller::Tep(claims) => (Some(claims.uid.to_string()), Some(claims.aud.to_string())),
            Caller::Client(claims) => (None, Some(claims.aud.to_string())),
            _ => (None, None),
        }
    }
}

/// The bearer token of a request (RFC 6750 section 2.1); `None` where there is none.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty()).then(|| token.trim())
}

/// A token whose signature and claims hold; whether it was revoked is the subject's to say.
#[derive(Debug, Clone)]
pub struct Verified {
    /// Who it stands for.
    pub caller: Caller,
    /// When it ends.
    pub until: Millis,
}

async fn check<P: Platform>(
    platform: &P,
    settings: &Settings,
    text: &str,
    now: Millis,
) -> Result<Result<Verified, TokenError>, Failure> {
    fn claims<K: Kind>(
        token: &Unverified<'_>,
        issuer: &str,
        now: Millis,
        wrap: fn(Arc<K>) -> Caller,
    ) -> Result<Verified, TokenError> {
        token.check::<K>(issuer, now).map(|(claims, until)| Verified { caller: wrap(Arc::new(claims)), until })
    }
    let token = match Unverified::parse(text) {
        Ok(token) => token,
        Err(error) => return Ok(Err(error)),
    };
    let Some(key) = settings.jwks.find(token.kid()) else { return Ok(Err(TokenError::Key)) };
    if !platform.signer().verify(key, token.signing_input(), token.signature()).await? {
        return Ok(Err(TokenError::Signature));
    }
    Ok(match token.kind() {
        TokenKind::Platform => claims(&token, &settings.issuer, now, Caller::Platform),
        TokenKind::Tep => claims(&token, &settings.issuer, now, Caller::Tep),
        TokenKind::Client => claims(&token, &settings.issuer, now, Caller::Client),
    })
}

/// Verifies a token of any kind: signature first, then claims. What verified is remembered for a while, by the token's hash.
pub async fn verify<P: Platform>(platform: &P, settings: &Settings, text: &str) -> Result<Result<Verified, TokenError>, Failure> {
    let now = platform.clock().now();
    let name = format!("token:{}", sha256_hex(text));
    if let Some(found) = platform.memo().get::<Verified>(&name, now) {
        return Ok(Ok(found));
    }
    let outcome = check(platform, settings, text, now).await?;
    if let Ok(verified) = &outcome {
        platform.memo().put(&name, verified.clone(), verified.until.min(now.plus(REMEMBER_MS)));
    }
    Ok(outcome)
}
