//! Every statement of the group, with its row types.

use serde::Deserialize;
use tmcp_protocol::{AppId, ClientId, Millis, ScopeSet, Uid};

/// Answers when the database does, and has its tables.
pub const PROBE: &str = "SELECT client_id FROM clients WHERE client_id = ''";

/// One client.
pub const CLIENT: &str = "SELECT client_id, app_id, secret_hash, scopes, official, grants FROM clients \
    WHERE client_id = ?1 AND status = 'active'";
/// What an active client registered, for those who ask a person about it.
pub const CLIENT_INFO: &str = "SELECT client_id, app_id, name, developer, icon_url, official, scopes, redirect_uris, grants \
    FROM clients WHERE client_id = ?1 AND status = 'active'";
/// Registers a client or changes it.
pub const PUT_CLIENT: &str = "INSERT INTO clients (client_id, app_id, name, kind, secret_hash, scopes, origins, host, official, \
    redirect_uris, grants, developer, icon_url, status, created_at, updated_at) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, 'active', ?14, ?14) \
    ON CONFLICT (client_id) DO UPDATE SET app_id = excluded.app_id, name = excluded.name, kind = excluded.kind, \
    secret_hash = excluded.secret_hash, scopes = excluded.scopes, origins = excluded.origins, host = excluded.host, \
    official = excluded.official, redirect_uris = excluded.redirect_uris, grants = excluded.grants, \
    developer = excluded.developer, icon_url = excluded.icon_url, status = excluded.status, updated_at = excluded.updated_at";
/// Active clients that registered an origin.
pub const ORIGIN: &str = "SELECT client_id, host FROM clients WHERE status = 'active' \
    AND EXISTS (SELECT 1 FROM json_each(clients.origins) o WHERE o.value = +?1)";

/// A code.
pub const FIND_CODE: &str = "SELECT client_id, app_id, uid, subject, scope, redirect_uri, challenge, family, platform_session, \
    generation, expires_at, used_at FROM authorization_codes WHERE hash = ?1";
/// Keeps a new one.
pub const PUT_CODE: &str = "INSERT INTO authorization_codes (hash, client_id, app_id, uid, subject, scope, redirect_uri, \
    challenge, family, platform_session, generation, created_at, expires_at) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
/// Uses a code up, once.
pub const USE_CODE: &str = "UPDATE authorization_codes SET used_at = ?2 WHERE hash = ?1 AND used_at IS NULL AND expires_at > ?2 \
    RETURNING family";
/// Begins the family of a code that was used up just now.
pub const BEGIN_FAMILY_BY_CODE: &str = "INSERT INTO refresh_families (id, uid, app_id, client_id, platform_session, subject, \
    scope, created_at, ends_at) SELECT family, uid, app_id, client_id, platform_session, subject, scope, ?2, ?3 \
    FROM authorization_codes WHERE hash = ?1 AND used_at = ?2";
/// Its first token.
pub const FIRST_TOKEN_BY_CODE: &str = "INSERT INTO refresh_tokens (hash, family, parent, created_at, expires_at) \
    SELECT ?3, family, NULL, ?2, ?4 FROM authorization_codes WHERE hash = ?1 AND used_at = ?2";
/// Codes that are over for a day: until then a late second use is told apart from an unknown code.
pub const FORGET_CODES: &str = "DELETE FROM authorization_codes WHERE hash IN \
    (SELECT hash FROM authorization_codes WHERE expires_at <= ?1 LIMIT 200)";

/// Keeps a device's codes; no row comes back where somebody has the user code.
pub const PUT_DEVICE: &str = "INSERT INTO device_codes (hash, user_hash, client_id, app_id, scope, family, address, created_at, \
    expires_at, polled_at, interval_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?8, ?10) \
    ON CONFLICT (user_hash) DO NOTHING RETURNING hash";
/// A poll that comes in time.
pub const POLL_DEVICE: &str = "UPDATE device_codes SET polled_at = ?3 WHERE hash = ?1 AND client_id = ?2 \
    AND polled_at <= ?3 - interval_ms RETURNING decision, expires_at";
/// A poll that comes too soon: the next one has to wait longer.
pub const SLOW_DEVICE: &str = "UPDATE device_codes SET polled_at = ?3, interval_ms = interval_ms + 5000 \
    WHERE hash = ?1 AND client_id = ?2 RETURNING hash";
/// The open request of a user code.
pub const FIND_DEVICE: &str = "SELECT client_id, app_id, scope, address, created_at FROM device_codes \
    WHERE user_hash = ?1 AND decision IS NULL AND expires_at > ?2";
/// Decides on one, once: with the decision's own id.
pub const DECIDE_DEVICE: &str = "UPDATE device_codes SET decision = ?3, decided_by = ?4 WHERE user_hash = ?1 AND decision IS NULL \
    AND expires_at > ?2 RETURNING hash";
/// What was allowed by a decision is a code.
pub const PUT_DEVICES_CODE: &str = "INSERT INTO authorization_codes (hash, client_id, app_id, uid, subject, scope, redirect_uri, \
    challenge, family, platform_session, generation, created_at, expires_at) SELECT hash, client_id, app_id, ?2, ?3, scope, '', '', \
    family, ?4, ?5, ?6, expires_at FROM device_codes WHERE decided_by = ?1";
/// Device codes that are over for a day.
pub const FORGET_DEVICES: &str = "DELETE FROM device_codes WHERE hash IN \
    (SELECT hash FROM device_codes WHERE expires_at <= ?1 LIMIT 200)";

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
/// Ends a portion of the families of a client that hold a scope of the list (JSON), behind an id. Those that are ended already come
/// again: whoever ended them may have died before their access tokens were refused.
pub const END_PRIVILEGED: &str = "UPDATE refresh_families SET ended_at = COALESCE(ended_at, ?3) WHERE id IN \
    (SELECT f.id FROM refresh_families f WHERE f.client_id = +?1 AND f.ends_at > +?3 AND f.id > +?4 \
    AND EXISTS (SELECT 1 FROM json_each(?2) s WHERE instr(' ' || f.scope || ' ', ' ' || s.value || ' ') > 0) \
    ORDER BY f.id LIMIT 200) RETURNING id, uid, app_id";
/// Ends one family.
pub const END_FAMILY: &str = "UPDATE refresh_families SET ended_at = ?2 WHERE id = ?1 AND ended_at IS NULL";
/// Ends all families that came from a platform session.
pub const END_SESSION_FAMILIES: &str = "UPDATE refresh_families SET ended_at = COALESCE(ended_at, ?2) WHERE platform_session = ?1 \
    AND ends_at > ?2 RETURNING id, uid, app_id";

/// Ends those that came meanwhile.
pub const END_LATE_FAMILIES: &str = "UPDATE refresh_families SET ended_at = ?2 WHERE platform_session = ?1 AND ended_at IS NULL \
    RETURNING id, uid, app_id";

/// Ends all families of a person in an app.
pub const END_APP_FAMILIES: &str = "UPDATE refresh_families SET ended_at = ?3 WHERE uid = ?1 AND app_id = ?2 AND ended_at IS NULL \
    RETURNING id, uid, app_id";
/// Codes of a person for an app that nobody has used yet.
pub const DROP_CODES: &str = "DELETE FROM authorization_codes WHERE uid = ?1 AND app_id = ?2 AND used_at IS NULL";
/// The apps that hold sessions of a person; `?3`: those with them whose sessions were ended.
pub const APPS: &str = "SELECT f.app_id, MAX(c.name) AS name, MIN(f.created_at) AS since FROM refresh_families f \
    LEFT JOIN clients c ON c.client_id = f.client_id WHERE f.uid = +?1 AND (f.ended_at IS NULL OR ?3) AND f.ends_at > ?2 \
    GROUP BY f.app_id";

/// Everything of a person.
pub const FORGET_PERSON: [&str; 4] = [
    "DELETE FROM refresh_tokens WHERE family IN (SELECT id FROM refresh_families WHERE uid = ?1)",
    "DELETE FROM refresh_families WHERE uid = ?1",
    "DELETE FROM authorization_codes WHERE uid = ?1",
    "DELETE FROM session_endings WHERE uid = ?1",
];

/// Notes that a platform session is being ended.
pub const BEGIN_ENDING: &str =
    "INSERT INTO session_endings (session, uid, created_at) VALUES (?1, ?2, ?3) ON CONFLICT (session) DO NOTHING";
/// It is ended.
pub const FINISH_ENDING: &str = "DELETE FROM session_endings WHERE session = ?1";
/// Those that nobody finished for a while.
pub const OPEN_ENDINGS: &str =
    "SELECT session, uid FROM session_endings WHERE created_at <= ?1 ORDER BY created_at DESC LIMIT 100";

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
    /// A JSON array of the grants that it may use.
    pub grants: String,
}

/// A code as a row.
#[derive(Debug, Clone, Deserialize)]
pub struct CodeRow {
    /// The client.
    pub client_id: ClientId,
    /// The mini-app.
    pub app_id: AppId,
    /// The person.
    pub uid: Uid,
    /// [`tmcp_http::people::Names`] as JSON.
    pub subject: String,
    /// What was granted.
    pub scope: ScopeSet,
    /// Where the code went.
    pub redirect_uri: String,
    /// What the client has to prove.
    pub challenge: String,
    /// The family that it begins.
    pub family: String,
    /// The platform session that the browser's came from.
    pub platform_session: String,
    /// Its generation.
    pub generation: i64,
    /// Its end.
    pub expires_at: Millis,
    /// When it was used.
    pub used_at: Option<Millis>,
}

/// An origin's client as a row.
#[derive(Debug, Clone, Deserialize)]
pub struct OriginRow {
    /// The client.
    pub client_id: String,
    /// Whether it is a host client.
    pub host: i64,
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
    /// [`tmcp_http::people::Names`] as JSON.
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

/// A device code as a poll finds it.
#[derive(Debug, Clone, Deserialize)]
pub struct DeviceRow {
    /// `allowed` or `refused`, once it is decided.
    pub decision: Option<String>,
    /// Its end.
    pub expires_at: Millis,
}

/// An unfinished ending as a row.
#[derive(Debug, Clone, Deserialize)]
pub struct EndingRow {
    /// The platform session.
    pub session: String,
    /// Whose it is.
    pub uid: Uid,
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
