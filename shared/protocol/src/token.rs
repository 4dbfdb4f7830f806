//! Tokens: their kinds, claims and checks (TMCP 1.7; RFC 7519, RFC 8725). Signing and verifying the bytes is the `Signer` port's.
//!
//! The kinds are told apart thrice, by `typ`, `aud` and `token_type`, so that no kind can pass for another.

use crate::developer::{Membership, Permission, Role};
use crate::ids::{AppId, ClientId, MatrixUserId, Uid};
use crate::scope::ScopeSet;
use crate::time::Millis;
use chrono::DateTime;
use jwt_compact::{Algorithm, AlgorithmExt, AlgorithmSignature, Claims, Header, UntrustedToken};
use serde::de::DeserializeOwned;
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

/// Claims of a platform token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlatformClaims {
    /// The issuer: our public origin.
    pub iss: String,
    /// The internal user id.
    pub sub: Uid,
    /// The issuer again: this token is for the platform itself.
    pub aud: String,
    /// Unique id.
    pub jti: String,
    /// [`TokenKind::token_type`].
    pub token_type: String,
    /// The person's Matrix id, if they have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matrix_user_id: Option<MatrixUserId>,
    /// What pages call a person without a Matrix id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Kind of the identity used: `matrix`, `oidc`, ….
    pub provider: String,
    /// When the person proved who they are, epoch seconds.
    pub auth_time: i64,
    /// The session that began with the sign-in.
    pub session_id: String,
    /// How strong the sign-in was.
    pub level: AuthLevel,
    /// The wallet that is reserved for the person.
    pub wallet_id: String,
    /// Generation of the subject (user, `platform`) at issue.
    #[serde(rename = "gen")]
    pub generation: i64,
}

/// Claims of a TEP access token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TepClaims {
    /// The issuer: our public origin.
    pub iss: String,
    /// The person's Matrix id.
    pub sub: MatrixUserId,
    /// The mini-app.
    pub aud: AppId,
    /// The client that asked; for a hybrid app's backend its own id.
    pub client_id: ClientId,
    /// The mini-app again.
    pub azp: AppId,
    /// Unique id.
    pub jti: String,
    /// [`TokenKind::token_type`].
    pub token_type: String,
    /// What the app may do.
    pub scope: ScopeSet,
    /// The person's wallet.
    pub wallet_id: String,
    /// The session of the refresh family.
    pub session_id: String,
    /// The internal user id.
    pub uid: Uid,
    /// Generation of the subject (user, app) at issue.
    #[serde(rename = "gen")]
    pub generation: i64,
    /// How strong the sign-in was that it goes back to.
    #[serde(default, skip_serializing_if = "AuthLevel::is_full")]
    pub level: AuthLevel,
    /// When a privileged token ends, epoch seconds; no other has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub privileged_until: Option<i64>,
    /// `true` of a privileged token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub privileged: Option<bool>,
    /// `matrix_session`, when it came from a token exchange.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delegated_from: Option<String>,
    /// Where the app was launched, as the client told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub miniapp_context: Option<serde_json::Map<String, serde_json::Value>>,
}

/// Claims of a client token: nothing of a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientClaims {
    /// The issuer: our public origin.
    pub iss: String,
    /// The client.
    pub sub: ClientId,
    /// The mini-app that it belongs to.
    pub aud: AppId,
    /// The client again.
    pub client_id: ClientId,
    /// The mini-app again.
    pub azp: AppId,
    /// Unique id.
    pub jti: String,
    /// [`TokenKind::token_type`].
    pub token_type: String,
    /// Generation of the subject (client) at issue.
    #[serde(rename = "gen")]
    pub generation: i64,
}

/// The audience of developer tokens (TMCP 1.12).
pub const DEVELOPER_AUDIENCE: &str = "tmcp_developer_api";

/// Claims of a developer token (TMCP 1.12). What it says of roles is as of its issue: our own routes ask the rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeveloperClaims {
    /// The issuer: our public origin.
    pub iss: String,
    /// The person's Matrix id.
    pub sub: MatrixUserId,
    /// [`DEVELOPER_AUDIENCE`].
    pub aud: String,
    /// Unique id.
    pub jti: String,
    /// [`TokenKind::token_type`].
    pub token_type: String,
    /// The person as a developer.
    pub developer_id: String,
    /// What they are in any organisation of theirs.
    pub roles: Vec<Role>,
    /// Their organisations.
    pub organizations: Vec<Membership>,
    /// What they may do in any of them.
    pub permissions: Vec<Permission>,
    /// The session at the console.
    pub session_id: String,
    /// The internal user id.
    pub uid: Uid,
    /// Generation of the subject (user, `platform`) at issue.
    #[serde(rename = "gen")]
    pub generation: i64,
}

/// Claims that every kind has, for the generic checks.
pub trait Kind: Serialize + DeserializeOwned + Clone + Send + Sync + 'static {
    /// Which kind it is.
    const KIND: TokenKind;
    /// Whether the claims fit each other and this issuer.
    fn consistent(&self, issuer: &str) -> bool;
}

impl Kind for PlatformClaims {
    const KIND: TokenKind = TokenKind::Platform;
    fn consistent(&self, issuer: &str) -> bool {
        self.iss == issuer && self.aud == issuer && self.token_type == Self::KIND.token_type()
    }
}

impl Kind for TepClaims {
    const KIND: TokenKind = TokenKind::Tep;
    fn consistent(&self, issuer: &str) -> bool {
        self.iss == issuer && self.azp == self.aud && self.token_type == Self::KIND.token_type()
    }
}

impl Kind for ClientClaims {
    const KIND: TokenKind = TokenKind::Client;
    fn consistent(&self, issuer: &str) -> bool {
        let names = self.sub == self.client_id && self.azp == self.aud;
        self.iss == issuer && names && self.token_type == Self::KIND.token_type()
    }
}

impl Kind for DeveloperClaims {
    const KIND: TokenKind = TokenKind::Developer;
    fn consistent(&self, issuer: &str) -> bool {
        self.iss == issuer && self.aud == DEVELOPER_AUDIENCE && self.token_type == Self::KIND.token_type()
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
        use base64::Engine;
        let signature = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(signature);
        format!("{}{}.{signature}", self.kind.prefix(), self.input)
    }
}

/// A token as it came, well-formed and nothing more.
pub struct Unverified<'a> {
    kind: TokenKind,
    input: &'a str,
    kid: String,
    token: UntrustedToken<'a>,
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
        let token = UntrustedToken::new(jwt).map_err(|_| TokenError::Malformed)?;
        if token.algorithm() != "RS256" {
            return Err(TokenError::Algorithm);
        }
        let typ = token.header().token_type.as_deref();
        let kind = kinds.iter().copied().find(|kind| typ == Some(kind.typ())).ok_or(TokenError::Malformed)?;
        let kid = token.header().key_id.clone().ok_or(TokenError::Key)?;
        let (input, _) = jwt.rsplit_once('.').ok_or(TokenError::Malformed)?;
        Ok(Self { kind, input, kid, token })
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
        self.token.signature_bytes()
    }

    /// Checks the claims; call it only when the signature has verified. Returns them with the end of the token's life.
    pub fn check<K: Kind>(&self, issuer: &str, now: Millis) -> Result<(K, Millis), TokenError> {
        if K::KIND != self.kind {
            return Err(TokenError::Malformed);
        }
        let claims: Claims<K> = self.token.deserialize_claims_unchecked().map_err(|_| TokenError::Claims)?;
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
mod tests {
    use super::*;

    const ISSUER: &str = "https://tmcp.example";
    const NOW: Millis = Millis(1_800_000_000_000);

    fn tep() -> TepClaims {
        TepClaims {
            iss: ISSUER.into(),
            sub: MatrixUserId::parse("@alice:localhost").unwrap(),
            aud: AppId::parse("ma_demo").unwrap(),
            client_id: ClientId::parse("ma_demo").unwrap(),
            azp: AppId::parse("ma_demo").unwrap(),
            jti: "j".into(),
            token_type: TokenKind::Tep.token_type().into(),
            scope: ScopeSet::parse("storage:read").unwrap(),
            wallet_id: "tw_1".into(),
            session_id: "session_1".into(),
            uid: Uid::new(NOW, [1; 16]),
            generation: 0,
            level: AuthLevel::Full,
            privileged_until: None,
            privileged: None,
            delegated_from: None,
            miniapp_context: None,
        }
    }

    fn wire(claims: &TepClaims) -> String {
        Unsigned::encode(claims, "k1", NOW, 3600).unwrap().finish(b"signature")
    }

    fn check(claims: &TepClaims, now: Millis) -> Result<TepClaims, TokenError> {
        Unverified::parse(&wire(claims)).unwrap().check(ISSUER, now).map(|(claims, _)| claims)
    }

    #[test]
    fn round_trips() {
        let text = wire(&tep());
        assert!(text.starts_with("tep."));
        let token = Unverified::parse(&text).unwrap();
        assert_eq!((token.kid(), token.kind(), token.signature()), ("k1", TokenKind::Tep, &b"signature"[..]));
        let (claims, until) = token.check::<TepClaims>(ISSUER, NOW).unwrap();
        assert_eq!((claims, until), (tep(), NOW.plus(3_600_000)));
    }

    #[test]
    fn refuses_claims_that_do_not_fit() {
        let app = |id: &str| AppId::parse(id).unwrap();
        let wrong: Vec<TepClaims> = vec![
            TepClaims { iss: "https://other".into(), ..tep() },
            TepClaims { azp: app("ma_other"), ..tep() },
            TepClaims { aud: app("ma_other"), ..tep() },
            TepClaims { token_type: "access_token".into(), ..tep() },
        ];
        for claims in wrong {
            assert_eq!(check(&claims, NOW), Err(TokenError::Claims));
        }
        assert_eq!(check(&tep(), NOW.plus(3_600_000)), Err(TokenError::Expired));
        assert_eq!(check(&tep(), NOW.plus(-6_000)), Err(TokenError::Future));
        assert!(check(&tep(), NOW.plus(-5_000)).is_ok());
    }

    #[test]
    fn refuses_headers_that_do_not_fit() {
        use base64::Engine;
        let b64 = |text: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
        let error =
            |header: &str, prefix: &str| Unverified::parse(&format!("{prefix}{}.{}.{}", b64(header), b64("{}"), b64("s"))).err();
        let cases = [
            (r#"{"alg":"none","typ":"JWT","kid":"k1"}"#, "tep.", TokenError::Algorithm),
            (r#"{"alg":"HS256","typ":"JWT","kid":"k1"}"#, "tep.", TokenError::Algorithm),
            (r#"{"alg":"PS256","typ":"JWT","kid":"k1"}"#, "tep.", TokenError::Algorithm),
            (r#"{"alg":"rs256","typ":"JWT","kid":"k1"}"#, "tep.", TokenError::Algorithm),
            (r#"{"alg":"RS256","typ":"JWT"}"#, "tep.", TokenError::Key),
            (r#"{"alg":"RS256","kid":"k1"}"#, "tep.", TokenError::Malformed),
            (r#"{"alg":"RS256","typ":"platform+jwt","kid":"k1"}"#, "tep.", TokenError::Malformed),
            (r#"{"alg":"RS256","typ":"JWT","kid":"k1"}"#, "", TokenError::Malformed),
        ];
        for (header, prefix, expected) in cases {
            assert_eq!(error(header, prefix), Some(expected), "{header}");
        }
        for text in ["", "tep.", "a.b", "a.b.c.d", "tep.!.!.!"] {
            assert!(Unverified::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_client_token_is_no_tep() {
        let client = |id: &str| ClientId::parse(id).unwrap();
        let app = AppId::parse("ma_demo").unwrap();
        let claims = ClientClaims {
            iss: ISSUER.into(),
            sub: client("ma_demo_backend"),
            aud: app.clone(),
            client_id: client("ma_demo_backend"),
            azp: app,
            jti: "j".into(),
            token_type: TokenKind::Client.token_type().into(),
            generation: 0,
        };
        let wire = |claims: &ClientClaims| Unsigned::encode(claims, "k1", NOW, 3600).unwrap().finish(b"signature");
        let text = wire(&claims);
        let token = Unverified::parse(&text).unwrap();
        assert_eq!(token.kind(), TokenKind::Client);
        assert_eq!(token.check::<TepClaims>(ISSUER, NOW).unwrap_err(), TokenError::Malformed);
        assert_eq!(token.check::<ClientClaims>(ISSUER, NOW).unwrap().0, claims);
        let other = wire(&ClientClaims { sub: client("ma_other"), ..claims });
        assert_eq!(Unverified::parse(&other).unwrap().check::<ClientClaims>(ISSUER, NOW).unwrap_err(), TokenError::Claims);
        // A TEP's claims under a client token's header do not pass, nor the other way round.
        let tep = wire_as(&tep(), TokenKind::Client);
        assert!(Unverified::parse(&tep).unwrap().check::<ClientClaims>(ISSUER, NOW).is_err());
    }

    fn wire_as(claims: &TepClaims, kind: TokenKind) -> String {
        use base64::Engine;
        let text = wire(claims);
        let body = text.split('.').nth(2).unwrap();
        let header = format!(r#"{{"alg":"RS256","typ":"{}","kid":"k1"}}"#, kind.typ());
        format!("tep.{}.{body}.c2ln", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(header))
    }

    #[test]
    fn a_tep_is_no_platform_token() {
        let text = wire(&tep());
        let token = Unverified::parse(&text).unwrap();
        assert_eq!(token.check::<PlatformClaims>(ISSUER, NOW).unwrap_err(), TokenError::Malformed);
        let stripped = text.strip_prefix("tep.").unwrap();
        assert_eq!(Unverified::parse(stripped).err(), Some(TokenError::Malformed));
    }
}
