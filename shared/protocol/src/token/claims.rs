//! What a token of each kind says (TMCP 1.7, 1.12).

use super::{AuthLevel, TokenKind};
use crate::developer::{Membership, Permission, Role};
use crate::ids::{AppId, ClientId, MatrixUserId, Uid};
use crate::scope::ScopeSet;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

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
