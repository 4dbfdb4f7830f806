//! Every statement of the group, with its row types.

use serde::Deserialize;
use tmcp_protocol::{AppId, ClientId, MatrixUserId, Millis, ScopeSet, Uid};

/// Answers when the database does, and has its tables.
pub const PROBE: &str = "SELECT client_id FROM clients WHERE client_id = ''";

/// One client.
pub const CLIENT: &str = "SELECT client_id, app_id, secret_hash, scopes, official FROM clients \
    WHERE client_id = ?1 AND status = 'active'";
/// Registers a client or changes it.
pub const PUT_CLIENT: &str = "INSERT INTO clients (client_id, app_id, name, kind, secret_hash, scopes, origins, host, official, \
    status, created_at, updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 'active', ?10, ?10) \
    ON CONFLICT (client_id) DO UPDATE SET app_id = excluded.app_id, name = excluded.name, kind = excluded.kind, \
    secret_hash = excluded.secret_hash, scopes = excluded.scopes, origins = excluded.origins, host = excluded.host, \
    official = excluded.official, status = excluded.status, updated_at = excluded.updated_at";
/// Active clients that registered an origin.
pub const ORIGIN: &str = "SELECT client_id, host FROM clients WHERE status = 'active' \
    AND EXISTS (SELECT 1 FROM json_each(clients.origins) o WHERE o.value = +?1)";

/// Begins a refresh family.
pub const BEGIN_FAMILY: &str = "INSERT INTO refresh_families (id, uid, app_id, client_id, platform_session, subject, scope, \
    created_at, ends_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
/// Its first token.
pub const FIRST_TOKEN: &str =
    "INSERT INTO refresh_tokens (hash, family, parent, created_at, expires_at) VALUES (?1, ?2, NULL, ?3, ?4)";
/// A token with its family and its successor.
pub const FIND_TOKEN: &str = "SELECT t.expires_at, t.used_at, f.id AS family, f.uid, f.app_id, f.client_id, f.subject, f.scope, \
    f.ends_at, f.ended_at, c.used_at AS successor_used_at FROM refresh_tokens t \
    JOIN refresh_families f ON f.id = t.family LEFT JOIN refresh_tokens c ON c.parent = t.hash WHERE t.hash = +?1";
/// Uses a token up, once.
pub const USE_TOKEN: &str = "UPDATE refresh_tokens SET used_at = ?2 WHERE hash = ?1 AND used_at IS NULL AND expires_at > ?2 \
    AND EXISTS (SELECT 1 FROM refresh_families f WHERE f.id = refresh_tokens.family AND f.ended_at IS NULL AND f.ends_at > ?2)";
/// Its one successor: `parent` is unique, so that the loser of a race gets no row.
pub const NEXT_TOKEN: &str = "INSERT INTO refresh_tokens (hash, family, parent, created_at, expires_at) \
    SELECT ?2, t.family, t.hash, ?3, MIN(?4, f.ends_at) FROM refresh_tokens t JOIN refresh_families f ON f.id = t.family \
    WHERE t.hash = +?1 AND t.used_at = +?3 AND f.ended_at IS NULL ON CONFLICT (parent) DO NOTHING RETURNING hash";
/// Ends one family.
pub const END_FAMILY: &str = "UPDATE refresh_families SET ended_at = ?2 WHERE id = ?1 AND ended_at IS NULL";
/// Ends all families that came from a platform session.
pub const END_SESSION_FAMILIES: &str = "UPDATE refresh_families SET ended_at = COALESCE(ended_at, ?2) WHERE platform_session = ?1 \
    AND ends_at > ?2 RETURNING id, uid, app_id";

/// Ends those that came meanwhile.
pub const END_LATE_FAMILIES: &str = "UPDATE refresh_families SET ended_at = ?2 WHERE platform_session = ?1 AND ended_at IS NULL \
    RETURNING id, uid, app_id";

/// Tokens of families that are over for a day.
pub const FORGET_TOKENS: &str = "DELETE FROM refresh_tokens WHERE family IN (SELECT id FROM refresh_families \
    WHERE ends_at <= ?1 UNION SELECT id FROM refresh_families WHERE ended_at <= ?1 LIMIT 200)";
/// Families that have no tokens any more and are over for a day.
pub const FORGET_FAMILIES: &str = "DELETE FROM refresh_families WHERE id IN (SELECT id FROM refresh_families \
    WHERE ends_at <= ?1 UNION SELECT id FROM refresh_families WHERE ended_at <= ?1 LIMIT 200) \
    AND NOT EXISTS (SELECT 1 FROM refresh_tokens t WHERE t.family = refresh_families.id)";

/// A client as a row.
#[derive(Debug, Clone, Deserialize)]
pub struct ClientRow {
    /// Its id.
    pub client_id: ClientId,
    /// The mini-app that it belongs to.
    pub app_id: AppId,
    /// SHA-256 of the secret, of confidential clients.
    pub secret_hash: Option<String>,
    /// What the app may ask for.
    pub scopes: ScopeSet,
    /// Whether it is an official app.
    pub official: i64,
}

/// An origin's client as a row.
#[derive(Debug, Clone, Deserialize)]
pub struct OriginRow {
    /// The client.
    pub client_id: String,
    /// Whether it is a host client.
    pub host: i64,
}

/// What a family's tokens say of the person, as JSON in its row.
#[derive(Debug, Clone, serde::Serialize, Deserialize)]
pub struct FamilySubject {
    /// The Matrix id.
    pub sub: MatrixUserId,
    /// The wallet.
    pub wallet_id: String,
}

/// A refresh token with its family as a row.
#[derive(Debug, Clone, Deserialize)]
pub struct TokenRow {
    /// The token's end.
    pub expires_at: Millis,
    /// When it was used.
    pub used_at: Option<Millis>,
    /// The family, which is the session of its access tokens.
    pub family: String,
    /// The person.
    pub uid: Uid,
    /// The mini-app.
    pub app_id: AppId,
    /// The client.
    pub client_id: ClientId,
    /// [`FamilySubject`] as JSON.
    pub subject: String,
    /// What was granted.
    pub scope: ScopeSet,
    /// The family's end.
    pub ends_at: Millis,
    /// When the family was ended.
    pub ended_at: Option<Millis>,
    /// When the successor was used.
    pub successor_used_at: Option<Millis>,
}

/// An ended family as a row.
#[derive(Debug, Clone, Deserialize)]
pub struct EndedRow {
    /// The family.
    pub id: String,
    /// The person.
    pub uid: Uid,
    /// The mini-app.
    pub app_id: AppId,
}
