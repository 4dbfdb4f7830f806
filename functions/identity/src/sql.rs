//! Every statement of the group, with its row types.

use serde::Deserialize;
use tmcp_protocol::{Millis, Uid};

/// Answers when the database does, and has its tables.
pub const PROBE: &str = "SELECT uid FROM users WHERE uid = ''";

/// The user of an identity.
pub const FIND: &str = "SELECT u.uid, u.status, u.wallet_id, i.username, p.display_name, p.avatar_url FROM identities i \
    JOIN users u ON u.uid = i.uid LEFT JOIN profiles p ON p.uid = u.uid WHERE i.provider = +?1 AND i.external_id = +?2";

/// A new user, unless the identity has come to be meanwhile.
pub const CREATE_USER: &str = "INSERT INTO users (uid, status, wallet_id, created_at) SELECT ?1, 'active', ?2, ?3 \
    WHERE NOT EXISTS (SELECT 1 FROM identities WHERE provider = ?4 AND external_id = ?5)";
/// Their identity; the first one stays.
pub const CREATE_IDENTITY: &str = "INSERT INTO identities (provider, external_id, uid, kind, username, created_at, last_used_at) \
    SELECT ?1, ?2, ?3, 'matrix', ?4, ?5, ?5 WHERE EXISTS (SELECT 1 FROM users WHERE uid = ?3) ON CONFLICT (provider, external_id) DO NOTHING";
/// Their profile.
pub const CREATE_PROFILE: &str = "INSERT INTO profiles (uid, display_name, avatar_url, updated_at) SELECT ?1, ?2, ?3, ?4 \
    WHERE EXISTS (SELECT 1 FROM users WHERE uid = ?1) ON CONFLICT (uid) DO NOTHING";
/// When an identity was used last.
pub const TOUCH: &str = "UPDATE identities SET last_used_at = ?3 WHERE provider = ?1 AND external_id = ?2";

/// Accepts an OpenID token's hash once; no row comes back the second time.
pub const SEE_OPENID: &str =
    "INSERT INTO openid_seen (hash, expires_at) VALUES (?1, ?2) ON CONFLICT (hash) DO NOTHING RETURNING hash";
/// Hashes of tokens that have expired at their homeserver.
pub const FORGET_OPENID: &str = "DELETE FROM openid_seen WHERE expires_at <= ?1";

/// What is known of a person.
pub const PROFILE: &str = "SELECT p.display_name, p.avatar_url, p.updated_at FROM profiles p JOIN users u ON u.uid = p.uid \
    WHERE p.uid = +?1";

/// A profile as a row.
#[derive(Debug, Clone, Deserialize)]
pub struct ProfileRow {
    /// What they call themselves.
    pub display_name: Option<String>,
    /// A Matrix address.
    pub avatar_url: Option<String>,
    /// When we learnt it.
    pub updated_at: Millis,
}

/// A user as a row.
#[derive(Debug, Clone, Deserialize)]
pub struct UserRow {
    /// Their id.
    pub uid: Uid,
    /// `active` or `suspended`.
    pub status: String,
    /// Their reserved wallet.
    pub wallet_id: String,
    /// The identity's name.
    pub username: String,
    /// From the profile.
    pub display_name: Option<String>,
    /// From the profile.
    pub avatar_url: Option<String>,
}

/// When a remembered OpenID token may be forgotten: Synapse issues them for an hour, others may for longer.
pub const fn openid_memory(now: Millis) -> Millis {
    now.plus(24 * 60 * 60 * 1000)
}
