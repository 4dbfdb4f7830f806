//! Every statement of the group, with its row types.

use serde::Deserialize;
use tmcp_http::audit_where;
use tmcp_http::subject::{Standing, Suspension};
use tmcp_protocol::{MatrixUserId, Millis, Uid};

/// Answers when the database does, and has its tables.
pub const PROBE: &str = "SELECT uid FROM users WHERE uid = ''";

/// The user of an identity.
pub const FIND: &str = "SELECT u.uid, u.wallet_id, u.suspended_until, u.suspension, u.leaving_at, \
    i.username, p.display_name, p.avatar_url, p.looked_at, \
    (SELECT m.external_id FROM identities m WHERE m.uid = i.uid AND m.kind = 'matrix' \
    ORDER BY m.chosen_at DESC, m.created_at, m.external_id LIMIT 1) AS matrix_user_id FROM identities i \
    JOIN users u ON u.uid = i.uid LEFT JOIN profiles p ON p.uid = u.uid WHERE i.provider = +?1 AND i.external_id = +?2";

/// Keeps an identity that was proven.
pub const KEEP_LINK: &str = "INSERT INTO links (hash, uid, session, provider, external_id, kind, username, expires_at) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
/// One that waits for this person in this session.
pub const FIND_LINK: &str = "SELECT provider, external_id, kind, username FROM links \
    WHERE hash = ?1 AND uid = ?2 AND session = ?3 AND expires_at > ?4";
/// Makes it the person's, unless it is somebody's.
pub const LINK: &str = "INSERT INTO identities (provider, external_id, uid, kind, username, created_at, last_used_at) \
    SELECT provider, external_id, uid, kind, username, ?4, ?4 FROM links \
    WHERE hash = ?1 AND uid = ?2 AND session = ?3 AND expires_at > ?4 ON CONFLICT (provider, external_id) DO NOTHING";
/// Tells of one that is theirs now.
pub const AUDIT_LINK: &str = audit_where!(
    "EXISTS (SELECT 1 FROM links l JOIN identities i ON i.provider = l.provider \
    AND i.external_id = l.external_id WHERE l.hash = +?10 AND i.uid = +?11)"
);
/// It waits no more.
pub const END_LINK: &str = "DELETE FROM links WHERE hash = ?1 AND uid = ?2 AND session = ?3 AND expires_at > ?4 RETURNING hash";
/// Those that nobody decided.
pub const FORGET_LINKS: &str = "DELETE FROM links WHERE hash IN (SELECT hash FROM links WHERE expires_at <= ?1 LIMIT 500)";
/// The identities of a person: first those that they chose, the last choice first, then the oldest.
pub const IDENTITIES: &str = "SELECT provider, external_id, kind, username, created_at, last_used_at FROM identities \
    WHERE uid = ?1 ORDER BY chosen_at DESC, created_at, external_id";
/// Makes another Matrix identity the one that apps know the person by, unless a wallet pays in the name of the one that is.
pub const CHOOSE: &str = "UPDATE identities SET chosen_at = ?4 WHERE provider = ?1 AND external_id = ?2 AND uid = ?3 AND kind = 'matrix' \
    AND (SELECT u.wallet_opened_at FROM users u WHERE u.uid = +?3) IS NULL RETURNING uid";
/// Tells of it, before it is done.
pub const AUDIT_CHOOSE: &str = audit_where!(
    "EXISTS (SELECT 1 FROM identities i JOIN users u ON u.uid = i.uid WHERE i.provider = +?10 AND i.external_id = +?11 \
    AND i.uid = +?5 AND i.kind = 'matrix' AND u.wallet_opened_at IS NULL)"
);
/// Takes one away, but neither the last one nor the Matrix id that apps know the person by, which is the oldest.
pub const UNLINK: &str = "DELETE FROM identities WHERE provider = ?1 AND external_id = ?2 AND uid = ?3 \
    AND (SELECT COUNT(*) FROM identities i WHERE i.uid = +?3) > 1 \
    AND (kind <> 'matrix' OR external_id <> (SELECT m.external_id FROM identities m WHERE m.uid = +?3 AND m.kind = 'matrix' \
    ORDER BY m.chosen_at DESC, m.created_at, m.external_id LIMIT 1)) RETURNING uid";
/// Tells of one that is gone.
pub const AUDIT_UNLINK: &str = audit_where!("NOT EXISTS (SELECT 1 FROM identities WHERE provider = ?10 AND external_id = ?11)");

/// A new user, unless the identity has come to be meanwhile.
pub const CREATE_USER: &str = "INSERT INTO users (uid, status, wallet_id, created_at, email) SELECT ?1, 'active', ?2, ?3, ?6 \
    WHERE NOT EXISTS (SELECT 1 FROM identities WHERE provider = ?4 AND external_id = ?5)";
/// Their identity; the first one stays.
pub const CREATE_IDENTITY: &str = "INSERT INTO identities (provider, external_id, uid, kind, username, created_at, last_used_at) \
    SELECT ?1, ?2, ?3, ?6, ?4, ?5, ?5 WHERE EXISTS (SELECT 1 FROM users WHERE uid = ?3) ON CONFLICT (provider, external_id) DO NOTHING";
/// Their profile.
pub const CREATE_PROFILE: &str = "INSERT INTO profiles (uid, display_name, avatar_url, updated_at, matrix_data, looked_at) \
    SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE EXISTS (SELECT 1 FROM users WHERE uid = ?1) ON CONFLICT (uid) DO NOTHING";
/// When an identity was used last.
pub const TOUCH: &str = "UPDATE identities SET last_used_at = ?3 WHERE provider = ?1 AND external_id = ?2";

/// The person of a Matrix id, or of our own.
pub const WHO: &str = "SELECT uid, standing, suspended_until, suspension FROM users WHERE uid = \
    COALESCE((SELECT i.uid FROM identities i WHERE i.kind = 'matrix' AND i.external_id = +?1 ORDER BY i.created_at LIMIT 1), ?1)";
/// Says how they stand.
pub const STAND: &str = "UPDATE users SET status = ?2, suspended_until = ?3, suspension = ?4, standing = standing + 1 \
    WHERE uid = ?1 RETURNING uid, standing, suspended_until, suspension";
/// Notes that it is to be told.
pub const NOTE_STANDING: &str = "INSERT INTO standings_to_tell (uid, standing, created_at) SELECT uid, standing, ?2 FROM users \
    WHERE uid = +?1 ON CONFLICT (uid) DO UPDATE SET standing = excluded.standing, created_at = excluded.created_at";
/// It was told, unless something was said since.
pub const TOLD_STANDING: &str = "DELETE FROM standings_to_tell WHERE uid = ?1 AND standing = ?2";
/// Keeps the apps (a JSON array) that are told.
pub const KEEP_TOLD: &str = "INSERT INTO standings_told (uid, app_id) SELECT ?1, value FROM json_each(?2) WHERE true \
    ON CONFLICT (uid, app_id) DO NOTHING";
/// All that were told.
pub const TOLD: &str = "SELECT app_id FROM standings_told WHERE uid = ?1";
/// They know of the end of the suspension, unless something was said since.
pub const FORGET_TOLD: &str = "DELETE FROM standings_told WHERE uid = ?1 \
    AND EXISTS (SELECT 1 FROM users WHERE uid = ?1 AND standing = ?2 AND suspension IS NULL)";
/// What nobody told for a while.
pub const UNTOLD_STANDINGS: &str = "SELECT u.uid, u.standing, u.suspended_until, u.suspension \
    FROM standings_to_tell s JOIN users u ON u.uid = s.uid WHERE s.created_at <= ?1 ORDER BY s.created_at LIMIT 100";

/// Accepts an OpenID token's hash once; no row comes back the second time.
pub const SEE_OPENID: &str =
    "INSERT INTO openid_seen (hash, expires_at) VALUES (?1, ?2) ON CONFLICT (hash) DO NOTHING RETURNING hash";
/// Hashes of tokens that have expired at their homeserver.
pub const FORGET_OPENID: &str = "DELETE FROM openid_seen WHERE expires_at <= ?1";

/// What else is held about somebody, for their export.
pub const ACCOUNT: &str = "SELECT status, wallet_id, suspension FROM users WHERE uid = ?1";
/// Notes that a person leaves; who asks once more is erased when they were going to be. Not while there is a wallet.
pub const LEAVE: &str = "UPDATE users SET leaving_at = COALESCE(leaving_at, ?2) WHERE uid = ?1 AND wallet_opened_at IS NULL \
    RETURNING leaving_at";
/// Tells of it, before it is done.
pub const AUDIT_LEAVE: &str =
    audit_where!("EXISTS (SELECT 1 FROM users WHERE uid = ?10 AND wallet_opened_at IS NULL AND leaving_at IS NULL AND ?11 = '')");
/// They stay, unless they are being erased.
pub const STAY: &str = "UPDATE users SET leaving_at = NULL WHERE uid = ?1 AND erasing_at IS NULL RETURNING uid";
/// Tells of it, before it is done.
pub const AUDIT_STAY: &str =
    audit_where!("EXISTS (SELECT 1 FROM users WHERE uid = ?10 AND leaving_at IS NOT NULL AND erasing_at IS NULL AND ?11 = '')");
/// Puts the question whether they stay.
pub const ASK_TO_STAY: &str = "INSERT INTO stays (hash, uid, expires_at) VALUES (?1, ?2, ?3)";
/// One that is open.
pub const FIND_STAY: &str = "SELECT s.uid, u.leaving_at FROM stays s JOIN users u ON u.uid = s.uid \
    WHERE s.hash = +?1 AND s.expires_at > ?2 AND u.leaving_at IS NOT NULL";
/// Those that nobody answered.
pub const FORGET_STAYS: &str = "DELETE FROM stays WHERE hash IN (SELECT hash FROM stays WHERE expires_at <= ?1 LIMIT 500)";
/// Begins to erase those whose time has come; from here on nobody changes their mind. Whoever is suspended waits for the end of that: they
/// would come back as somebody whom nobody knows.
pub const BEGIN_ERASING: &str = "UPDATE users SET erasing_at = ?1 WHERE erasing_at IS NULL AND uid IN \
    (SELECT uid FROM users WHERE leaving_at <= ?1 AND (suspension IS NULL OR suspended_until <= ?1) ORDER BY leaving_at LIMIT 50)";
/// One could not be erased: behind the others.
pub const DELAY_ERASING: &str = "UPDATE users SET erasing_at = ?2 WHERE uid = ?1";
/// Those that are being erased.
pub const ERASING: &str = "SELECT uid FROM users WHERE leaving_at IS NOT NULL AND erasing_at IS NOT NULL \
    AND (suspension IS NULL OR suspended_until <= ?1) ORDER BY erasing_at LIMIT 50";
/// Everything of a person, the person last.
pub const ERASE: [&str; 7] = [
    "DELETE FROM identities WHERE uid = ?1",
    "DELETE FROM profiles WHERE uid = ?1",
    "DELETE FROM links WHERE uid = ?1",
    "DELETE FROM stays WHERE uid = ?1",
    "DELETE FROM standings_to_tell WHERE uid = ?1",
    "DELETE FROM standings_told WHERE uid = ?1",
    "DELETE FROM users WHERE uid = ?1",
];

/// What is known of a person.
pub const PROFILE: &str = "SELECT u.uid, u.email, u.created_at, p.display_name, p.avatar_url, p.bio, p.matrix_data, p.looked_at, \
    p.updated_at, (SELECT m.external_id FROM identities m WHERE m.uid = u.uid AND m.kind = 'matrix' \
    ORDER BY m.chosen_at DESC, m.created_at, m.external_id LIMIT 1) AS matrix_user_id \
    FROM profiles p JOIN users u ON u.uid = p.uid WHERE p.uid = +?1";
/// Takes over what changed at the homeserver, and what it says now; unless somebody looked since, or saw another document before.
pub const TAKE_OVER: &str = "UPDATE profiles SET display_name = CASE WHEN ?3 = 1 THEN ?4 ELSE display_name END, \
    avatar_url = CASE WHEN ?5 = 1 THEN ?6 ELSE avatar_url END, \
    updated_at = CASE WHEN ?3 = 1 OR ?5 = 1 THEN ?2 ELSE updated_at END, matrix_data = ?7, looked_at = ?2, \
    told_at = CASE WHEN told_at < ?2 THEN 0 ELSE told_at END \
    WHERE uid = ?1 AND looked_at < ?2 AND matrix_data IS ?8";
/// Those of some Matrix ids (JSON) of a homeserver's instance, whom apps know by them.
pub const KNOWN_AS: &str = "SELECT p.uid, p.matrix_data, p.looked_at, i.external_id AS matrix_user_id FROM json_each(?1) j \
    JOIN identities i ON i.provider = +?2 AND i.external_id = j.value AND i.kind = 'matrix' JOIN profiles p ON p.uid = i.uid \
    WHERE i.external_id = (SELECT m.external_id FROM identities m WHERE m.uid = i.uid AND m.kind = 'matrix' \
    ORDER BY m.chosen_at DESC, m.created_at, m.external_id LIMIT 1)";
/// Notes that something was told of somebody.
pub const NOTE_TOLD: &str = "UPDATE profiles SET told_at = MAX(told_at, ?2) WHERE uid = ?1";
/// Those who are due.
pub const DUE_TOLD: &str = "SELECT p.uid, p.matrix_data, p.looked_at, (SELECT m.external_id FROM identities m WHERE m.uid = p.uid \
    AND m.kind = 'matrix' ORDER BY m.chosen_at DESC, m.created_at, m.external_id LIMIT 1) AS matrix_user_id FROM profiles p \
    WHERE p.told_at > 0 AND p.looked_at < ?1 AND EXISTS (SELECT 1 FROM identities k WHERE k.uid = p.uid \
    AND k.kind = 'matrix') ORDER BY p.told_at LIMIT 20";
/// What was told of somebody is not followed up.
pub const FORGET_TOLD_PROFILE: &str = "UPDATE profiles SET told_at = 0 WHERE uid = ?1";
/// Changes what the person said; what they did not speak of stays.
pub const CHANGE_PROFILE: &str = "UPDATE profiles SET display_name = CASE WHEN ?3 = 1 THEN ?4 ELSE display_name END, \
    avatar_url = CASE WHEN ?5 = 1 THEN ?6 ELSE avatar_url END, bio = CASE WHEN ?7 = 1 THEN ?8 ELSE bio END, updated_at = ?2 \
    WHERE uid = ?1";

/// Somebody whose homeserver told of them, as a row.
#[derive(Debug, Clone, Deserialize)]
pub struct ToldRow {
    /// The person.
    pub uid: Uid,
    /// The id that apps know them by.
    pub matrix_user_id: MatrixUserId,
    /// What their homeserver said when it was looked at.
    pub matrix_data: Option<String>,
    /// When that was.
    pub looked_at: Millis,
}

/// A profile as a row.
#[derive(Debug, Clone, Deserialize)]
pub struct ProfileRow {
    /// The person.
    pub uid: Uid,
    /// An address that a provider had verified.
    pub email: Option<String>,
    /// Since when we know them.
    pub created_at: Millis,
    /// What they call themselves.
    pub display_name: Option<String>,
    /// A Matrix address.
    pub avatar_url: Option<String>,
    /// What they say of themselves.
    pub bio: Option<String>,
    /// What their homeserver said when it was looked at.
    pub matrix_data: Option<String>,
    /// When that was; 0 where it never was.
    pub looked_at: Millis,
    /// When something of it changed.
    pub updated_at: Millis,
    /// The id that apps know them by.
    pub matrix_user_id: Option<MatrixUserId>,
}

/// An identity as a row: a person's, or one that waits to be linked.
#[derive(Debug, Clone, Deserialize)]
pub struct IdentityRow {
    /// What the external id is unique within.
    pub provider: String,
    /// The person there.
    pub external_id: String,
    /// The provider's kind.
    pub kind: String,
    /// What they are called there.
    pub username: String,
    /// Since when; told of a person's alone.
    #[serde(default)]
    pub created_at: Millis,
    /// When it was last signed in with; likewise.
    #[serde(default)]
    pub last_used_at: Millis,
}

/// How a person stands, as a row.
#[derive(Debug, Clone, Deserialize)]
pub struct StandingRow {
    /// Their id.
    pub uid: Uid,
    /// How often something was said about it.
    pub standing: i64,
    /// The suspension's end, if it has one.
    pub suspended_until: Option<Millis>,
    /// What they are told of it, if they are suspended, or were until it ended by itself.
    pub suspension: Option<String>,
}

impl StandingRow {
    /// What their subjects are told.
    pub fn standing(&self) -> Standing {
        let until = self.suspended_until;
        Standing { version: self.standing, suspension: self.suspension.clone().map(|told| Suspension { until, told }) }
    }
}

/// A user as a row.
#[derive(Debug, Clone, Deserialize)]
pub struct UserRow {
    /// Their id.
    pub uid: Uid,
    /// Their suspension's end, if it has one.
    pub suspended_until: Option<Millis>,
    /// What they are told of it.
    pub suspension: Option<String>,
    /// When they are erased, if they asked for it.
    pub leaving_at: Option<Millis>,
    /// Their reserved wallet.
    pub wallet_id: String,
    /// Their Matrix id: the one that they have had for longest.
    pub matrix_user_id: Option<MatrixUserId>,
    /// The identity's name.
    pub username: String,
    /// From the profile.
    pub display_name: Option<String>,
    /// From the profile.
    pub avatar_url: Option<String>,
    /// When their homeserver was last looked at.
    pub looked_at: Millis,
    /// Whether this request made them.
    #[serde(skip)]
    pub is_new: bool,
}

impl UserRow {
    /// What they are told of a suspension that is in force.
    pub fn suspended(&self, now: Millis) -> Option<&str> {
        self.suspension.as_deref().filter(|_| self.suspended_until.is_none_or(|until| until > now))
    }
}

/// When a remembered OpenID token may be forgotten: Synapse issues them for an hour, others may for longer.
pub const fn openid_memory(now: Millis) -> Millis {
    now.plus(24 * 60 * 60 * 1000)
}

/// Somebody, as a row.
#[derive(Debug, Clone, Deserialize)]
pub struct PersonRow {
    /// Their id.
    pub uid: Uid,
    /// When they are erased; told of who leaves alone.
    #[serde(default)]
    pub leaving_at: Option<Millis>,
}

/// What else is held about somebody, as a row.
#[derive(Debug, Clone, Deserialize)]
pub struct AccountRow {
    /// `active` or `suspended`.
    pub status: String,
    /// Their reserved wallet.
    pub wallet_id: String,
    /// What they are told of a suspension.
    pub suspension: Option<String>,
}
