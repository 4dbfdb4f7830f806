//! Tokens: their kinds, claims and checks (TMCP 1.7; RFC 7519, RFC 8725). Signing and verifying the bytes is the `Signer` port's.
//!
//! The kinds are told apart thrice, by `typ`, `aud` and `token_type`, so that no kind can pass for another.

mod claims;

pub use claims::{ClientClaims, DEVELOPER_AUDIENCE, DeveloperClaims, Kind, PlatformClaims, TepClaims};

use crate::time::Millis;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::DateTime;
use jwt_compact::{Algorithm, AlgorithmExt, AlgorithmSignature, Claims, Header};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// How far another machine's clock may be ahead of ours before `iat` and `nbf` count as future, in seconds.
const SKEW_S: i64 = 5;

/// The kinds of token that a route can take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenKind {
    /// The result of a sign-in: account routes, and the subject of a token exchange.
    Platform,
    /// One person in one mini-app.
    Tep,
    /// An app's backend, acting for nobody.
    Client,
    /// A person who makes mini-apps, at the developers' console.
    Developer,
}

impl TokenKind {
    /// The `typ` of its header.
    pub const fn typ(self) -> &'static str {
        match self {
            TokenKind::Platform => "platform+jwt",
            TokenKind::Tep => "JWT",
            TokenKind::Client => "client+jwt",
            TokenKind::Developer => "developer+jwt",
        }
    }

    /// Its `token_type` claim.
    pub const fn token_type(self) -> &'static str {
        match self {
            TokenKind::Platform => "platform_access_token",
            TokenKind::Tep => "tep_access_token",
            TokenKind::Client => "tep_client_token",
            TokenKind::Developer => "developer_token",
        }
    }

    /// What stands before the JWT on the wire.
    pub const fn prefix(self) -> &'static str {
        match self {
            TokenKind::Platform => "",
            TokenKind::Tep | TokenKind::Client => "tep.",
            TokenKind::Developer => "dev.",
        }
    }
}

/// How strongly the sign-in proved who is there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthLevel {
    /// The homeserver's access token was shown.
    #[default]
    Full,
    /// A Matrix OpenID token, which names no audience: low scopes only, no account changes.
    Openid,
}

impl AuthLevel {
    /// Whether it is the full one, which is not said in tokens and rows of apps.
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    pub fn is_full(&self) -> bool {
        *self == AuthLevel::Full
    }
}

/// Why a token is refused. For the log; a caller is never told which it was (TMCP 1.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not a JWT of one of our kinds.
    #[error("not a token of ours")]
    Malformed,
    /// Signed by another algorithm than RS256, or by none.
    #[error("algorithm is not RS256")]
    Algorithm,
    /// No `kid`, or one that no key has.
    #[error("unknown key id")]
    Key,
    /// The signature does not verify.
    #[error("bad signature")]
    Signature,
    /// `iss`, `aud`, `azp` or `token_type` is wrong, or a claim is missing.
    #[error("claims do not fit")]
    Claims,
    /// Past its `exp`.
    #[error("expired")]
    Expired,
    /// `nbf` or `iat` lies in the future.
    #[error("not yet valid")]
    Future,
    /// Signed by us, and for something else than what it is shown for.
    #[error("of another kind")]
    OtherKind,
}

/// RS256 whose signature is put on later, by the `Signer` port: jwt-compact only encodes.
struct Deferred;
/// The signature that is not there yet.
struct NoSignature;

impl AlgorithmSignature for NoSignature {
    fn try_from_slice(_: &[u8]) -> anyhow::Result<Self> {
        Ok(NoSignature)
    }
    fn as_bytes(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&[])
    }
}

impl Algorithm for Deferred {
    type SigningKey = ();
    type VerifyingKey = ();
    type Signature = NoSignature;
    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed("RS256")
    }
    fn sign(&self, (): &(), _: &[u8]) -> NoSignature {
        NoSignature
    }
    fn verify_signature(&self, _: &NoSignature, (): &(), _: &[u8]) -> bool {
        false
    }
}

/// A token that still lacks its signature.
pub struct Unsigned {
    kind: TokenKind,
    input: String,
}

impl Unsigned {
    /// Header and claims, valid from `now` for `lifetime_s` seconds, to be signed by the key named `kid`.
    pub fn encode<K: Kind>(claims: &K, kid: &str, now: Millis, lifetime_s: i64) -> Option<Self> {
        let header = Header::empty().with_key_id(kid).with_token_type(K::KIND.typ());
        let mut all = Claims::new(serde_json::to_value(claims).ok()?);
        let issued = DateTime::from_timestamp(now.seconds(), 0)?;
        all.issued_at = Some(issued);
        all.not_before = Some(issued);
        all.expiration = DateTime::from_timestamp(now.seconds().saturating_add(lifetime_s), 0);
        let token = Deferred.token(&header, &all, &()).ok()?;
        let input = token.rsplit_once('.')?.0.to_owned();
        Some(Self { kind: K::KIND, input })
    }

    /// The bytes to sign (RFC 7515 section 5.1).
    pub fn signing_input(&self) -> &[u8] {
        self.input.as_bytes()
    }

    /// The finished token, with its kind's prefix.
    pub fn finish(self, signature: &[u8]) -> String {
        let signature = URL_SAFE_NO_PAD.encode(signature);
        format!("{}{}.{signature}", self.kind.prefix(), self.input)
    }
}

/// A token as it came, well-formed and nothing more.
pub struct Unverified<'a> {
    kind: TokenKind,
    input: &'a str,
    kid: String,
    claims: &'a str,
    signature: Vec<u8>,
}

/// What matters of a header.
#[derive(Deserialize)]
struct Head<'a> {
    alg: &'a str,
    typ: Option<&'a str>,
    kid: Option<String>,
}

fn decoded(part: &str) -> Result<Vec<u8>, TokenError> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenError::Malformed)
}

impl<'a> Unverified<'a> {
    /// Parses a token and checks its header: one of our kinds by prefix and `typ`, RS256 and nothing else, a `kid`.
    pub fn parse(text: &'a str) -> Result<Self, TokenError> {
        let (kinds, jwt): (&[TokenKind], _) = match (text.strip_prefix("tep."), text.strip_prefix("dev.")) {
            (Some(jwt), _) => (&[TokenKind::Tep, TokenKind::Client], jwt),
            (_, Some(jwt)) => (&[TokenKind::Developer], jwt),
            _ => (&[TokenKind::Platform], text),
        };
        if jwt.len() > 8192 {
            return Err(TokenError::Malformed);
        }
        let (input, signature) = jwt.rsplit_once('.').ok_or(TokenError::Malformed)?;
        let (header, claims) = input.split_once('.').ok_or(TokenError::Malformed)?;
        if claims.contains('.') {
            return Err(TokenError::Malformed);
        }
        let header = decoded(header)?;
        // `serde` would take an array for a struct.
        if !header.starts_with(b"{") {
            return Err(TokenError::Malformed);
        }
        let Head { alg, typ, kid } = serde_json::from_slice(&header).map_err(|_| TokenError::Malformed)?;
        if alg != "RS256" {
            return Err(TokenError::Algorithm);
        }
        let kind = kinds.iter().copied().find(|kind| typ == Some(kind.typ())).ok_or(TokenError::Malformed)?;
        let kid = kid.ok_or(TokenError::Key)?;
        Ok(Self { kind, input, kid, claims, signature: decoded(signature)? })
    }

    /// The kind that it claims to be.
    pub fn kind(&self) -> TokenKind {
        self.kind
    }

    /// The key that is to verify it.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The bytes that were signed.
    pub fn signing_input(&self) -> &'a [u8] {
        self.input.as_bytes()
    }

    /// The signature.
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }

    /// Checks the claims; call it only when the signature has verified. Returns them with the end of the token's life.
    pub fn check<K: Kind>(&self, issuer: &str, now: Millis) -> Result<(K, Millis), TokenError> {
        if K::KIND != self.kind {
            return Err(TokenError::Malformed);
        }
        let claims: Claims<K> = serde_json::from_slice(&decoded(self.claims)?).map_err(|_| TokenError::Claims)?;
        let seconds = |moment: Option<DateTime<chrono::Utc>>| moment.map(|m| m.timestamp()).ok_or(TokenError::Claims);
        let expires = seconds(claims.expiration)?;
        if !claims.custom.consistent(issuer) {
            return Err(TokenError::Claims);
        }
        if now.seconds() >= expires {
            return Err(TokenError::Expired);
        }
        let latest = now.seconds().saturating_add(SKEW_S);
        if seconds(claims.not_before)? > latest || seconds(claims.issued_at)? > latest {
            return Err(TokenError::Future);
        }
        Ok((claims.custom, Millis::from_seconds(expires)))
    }
}

#[cfg(test)]
mod tests;
