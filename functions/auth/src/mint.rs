//! Issuing tokens: claims, encoding, signature.

use crate::sql::ClientRow;
use serde::Deserialize;
use std::sync::Arc;
use tmcp_http::people::Names;
use tmcp_http::settings::{InvalidSetting, remembered, require};
use tmcp_http::{Call, Failure};
use tmcp_ports::{Config, Platform, Random, Signer};
use tmcp_protocol::developer::{Membership, Permission, Role};
use tmcp_protocol::ids::ulid;
use tmcp_protocol::jwk::{KeySet, PrivateJwk};
use tmcp_protocol::token::{
    ClientClaims, DEVELOPER_AUDIENCE, DeveloperClaims, Kind, PlatformClaims, TepClaims, TokenKind, Unsigned,
};
use tmcp_protocol::{AppId, ClientId, MatrixUserId, Millis, ScopeSet, Uid};

/// Seconds that an access token lives, unless configured otherwise; no longer than a day, since subjects forget after 25 hours.
const LIFETIME_S: i64 = 3600;
/// The longest life that can be configured.
pub const MAX_LIFETIME_S: i64 = 86_400;

/// The configured life of access tokens, in seconds.
pub fn lifetime_s(platform: &impl Platform) -> Result<i64, InvalidSetting> {
    let Some(value) = platform.config().get("ACCESS_TOKEN_SECONDS") else { return Ok(LIFETIME_S) };
    let seconds = value.expose().parse().ok().filter(|s| (60..=MAX_LIFETIME_S).contains(s));
    let problem = "must be a whole number from 60 to 86400".to_owned();
    seconds.ok_or(InvalidSetting { name: "ACCESS_TOKEN_SECONDS", problem })
}

/// The private keys; the first one signs.
pub fn ring<P: Platform>(call: &Call<P>) -> Result<Arc<KeySet<PrivateJwk>>, InvalidSetting> {
    remembered(&call.platform, "signing_keys", |platform| require(platform.config(), "SIGNING_KEYS", KeySet::parse_private))
}

async fn sign<P: Platform, K: Kind>(call: &Call<P>, claims: &K, now: Millis, lifetime_s: i64) -> Result<String, Failure> {
    let ring = ring(call)?;
    let key = ring.keys.first().ok_or_else(|| Failure::internal("no signing key"))?;
    let unsigned = Unsigned::encode(claims, &key.public.kid, now, lifetime_s)
        .ok_or_else(|| Failure::internal("claims that do not encode"))?;
    let signature = call.platform.signer().sign(key, unsigned.signing_input()).await?;
    Ok(unsigned.finish(&signature))
}

fn jti<P: Platform>(call: &Call<P>) -> String {
    ulid(call.now(), call.platform.random().bytes())
}

/// A fresh session id.
pub fn session_id<P: Platform>(call: &Call<P>) -> String {
    format!("session_{}", jti(call))
}

/// What a platform token says beside the usual.
pub struct SignedIn {
    /// The person.
    pub uid: Uid,
    /// What their tokens say.
    pub names: Names,
    /// Kind of the identity that was used.
    pub provider: String,
    /// The session that begins.
    pub session_id: String,
    /// The subject's generation.
    pub generation: i64,
    /// When they proved who they are; 0 where nobody knows.
    pub proven_at: Millis,
}

/// A platform token.
pub async fn platform_token<P: Platform>(call: &Call<P>, who: SignedIn) -> Result<String, Failure> {
    let claims = PlatformClaims {
        iss: call.settings.issuer.clone(),
        sub: who.uid,
        aud: call.settings.issuer.clone(),
        jti: jti(call),
        token_type: TokenKind::Platform.token_type().to_owned(),
        matrix_user_id: who.names.sub,
        name: who.names.name,
        provider: who.provider,
        auth_time: who.proven_at.seconds(),
        session_id: who.session_id,
        level: who.names.level,
        wallet_id: who.names.wallet_id,
        generation: who.generation,
    };
    sign(call, &claims, call.now(), lifetime_s(&call.platform)?).await
}

/// A client token.
pub async fn client_token<P: Platform>(call: &Call<P>, client: &ClientRow, generation: i64) -> Result<String, Failure> {
    let claims = ClientClaims {
        iss: call.settings.issuer.clone(),
        sub: client.client_id.clone(),
        aud: client.app_id.clone(),
        client_id: client.client_id.clone(),
        azp: client.app_id.clone(),
        jti: jti(call),
        token_type: TokenKind::Client.token_type().to_owned(),
        generation,
    };
    sign(call, &claims, call.now(), lifetime_s(&call.platform)?).await
}

/// What a developer token says beside the usual, as developer tells it.
#[derive(Deserialize)]
pub struct Developing {
    sub: MatrixUserId,
    developer_id: String,
    roles: Vec<Role>,
    organizations: Vec<Membership>,
    permissions: Vec<Permission>,
    session_id: String,
    uid: Uid,
    #[serde(rename = "gen")]
    generation: i64,
}

/// A developer token, for a day.
pub async fn developer_token<P: Platform>(call: &Call<P>, who: Developing) -> Result<String, Failure> {
    let claims = DeveloperClaims {
        iss: call.settings.issuer.clone(),
        sub: who.sub,
        aud: DEVELOPER_AUDIENCE.to_owned(),
        jti: jti(call),
        token_type: TokenKind::Developer.token_type().to_owned(),
        developer_id: who.developer_id,
        roles: who.roles,
        organizations: who.organizations,
        permissions: who.permissions,
        session_id: who.session_id,
        uid: who.uid,
        generation: who.generation,
    };
    sign(call, &claims, call.now(), MAX_LIFETIME_S).await
}

/// What a TEP says beside the usual.
pub struct Granted<'a> {
    /// The person.
    pub uid: &'a Uid,
    /// Their names.
    pub subject: &'a Names,
    /// The mini-app.
    pub app_id: &'a AppId,
    /// The client.
    pub client_id: &'a ClientId,
    /// What it may do.
    pub scope: &'a ScopeSet,
    /// The family.
    pub session_id: &'a str,
    /// The subject's generation.
    pub generation: i64,
    /// Whether a host client exchanged a person's session for it.
    pub delegated: bool,
    /// Where the app was launched.
    pub miniapp_context: Option<serde_json::Map<String, serde_json::Value>>,
}

/// A TEP access token, as it is answered.
pub struct Minted {
    /// The token.
    pub token: String,
    /// Its life in seconds.
    pub expires_in: i64,
    /// When it ends, epoch seconds, if it is privileged.
    pub privileged_until: Option<i64>,
}

/// A TEP access token. A privileged one lives for a day, since nothing renews it (TMCP 1.3).
pub async fn tep<P: Platform>(call: &Call<P>, granted: Granted<'_>) -> Result<Minted, Failure> {
    let is_privileged = granted.scope.is_privileged();
    let expires_in = if is_privileged { MAX_LIFETIME_S } else { lifetime_s(&call.platform)? };
    let now = call.now();
    let privileged_until = is_privileged.then(|| now.seconds() + expires_in);
    let claims = TepClaims {
        iss: call.settings.issuer.clone(),
        sub: granted.subject.matrix()?.clone(),
        aud: granted.app_id.clone(),
        client_id: granted.client_id.clone(),
        azp: granted.app_id.clone(),
        jti: jti(call),
        token_type: TokenKind::Tep.token_type().to_owned(),
        scope: granted.scope.clone(),
        wallet_id: granted.subject.wallet_id.clone(),
        session_id: granted.session_id.to_owned(),
        uid: granted.uid.clone(),
        generation: granted.generation,
        level: granted.subject.level,
        privileged_until,
        privileged: is_privileged.then_some(true),
        delegated_from: granted.delegated.then(|| "matrix_session".to_owned()),
        miniapp_context: granted.miniapp_context,
    };
    let token = sign(call, &claims, now, expires_in).await?;
    Ok(Minted { token, expires_in, privileged_until })
}
