//! Every statement of the group, with its row types.

use serde::Deserialize;
use tmcp_http::audit_where;
use tmcp_protocol::{Millis, Uid};

/// Answers when the database does, and has its tables.
pub const PROBE: &str = "SELECT hash FROM browser_sessions WHERE hash = ''";

/// A handle for a browser.
pub const HAND_OVER: &str = "INSERT INTO hand_overs (hash, uid, subject, platform_session, generation, expires_at) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
/// One that is open.
pub const FIND_HAND_OVER: &str = "SELECT uid, subject, platform_session, generation FROM hand_overs \
    WHERE hash = ?1 AND browser IS NULL AND expires_at > ?2";
/// Uses one up, once, for the session of this hash.
pub const USE_HAND_OVER: &str = "UPDATE hand_overs SET browser = ?3 WHERE hash = ?1 AND browser IS NULL AND expires_at > ?2 \
    RETURNING uid, subject, platform_session, generation";
/// Begins the browser session that a handle was used up for.
pub const BEGIN_BROWSER: &str = "INSERT INTO browser_sessions (hash, id, uid, subject, platform_session, generation, agent, \
    address, created_at, used_at, ends_at) SELECT ?3, ?4, uid, subject, platform_session, generation, ?5, ?6, ?2, ?2, ?7 \
    FROM hand_overs WHERE hash = ?1 AND browser = ?3 RETURNING id";
/// Begins one that a sign-in here leads to.
pub const PUT_BROWSER: &str = "INSERT INTO browser_sessions (hash, id, uid, subject, platform_session, generation, agent, \
    address, created_at, used_at, ends_at, proven_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9, ?10, ?11)";
/// Ends the session that the browser had before, if the new one began.
pub const REPLACE_BROWSER: &str = "DELETE FROM browser_sessions WHERE hash = ?1 \
    AND EXISTS (SELECT 1 FROM browser_sessions b WHERE b.id = ?2)";
/// Handles that are over.
pub const FORGET_HAND_OVERS: &str = "DELETE FROM hand_overs WHERE hash IN \
    (SELECT hash FROM hand_overs WHERE expires_at <= ?1 LIMIT 500)";

/// A browser session that has not ended and was used since `?3`: it is used now.
pub const USE_BROWSER: &str = "UPDATE browser_sessions SET used_at = ?2 WHERE hash = ?1 AND ends_at > ?2 AND used_at > ?3 \
    RETURNING id, uid, subject, platform_session, generation, proven_at";
/// What a person's tokens say has changed: they have a Matrix id now.
pub const RENAME_BROWSERS: &str = "UPDATE browser_sessions SET subject = ?2 WHERE uid = ?1";
/// Ends all but one of a person's.
pub const END_OTHER_BROWSERS: &str = "DELETE FROM browser_sessions WHERE uid = ?1 AND id <> ?2";
/// The one that stays is of the generation that began.
pub const KEEP_BROWSER: &str = "UPDATE browser_sessions SET generation = ?3 WHERE uid = ?1 AND id = ?2";
/// Handles that nobody used yet.
pub const END_HAND_OVERS: &str = "DELETE FROM hand_overs WHERE uid = ?1 AND browser IS NULL";
/// Notes that a person is to be signed out elsewhere.
pub const BEGIN_CUT_OFF: &str = "INSERT INTO cut_offs (note, uid, browser, created_at) VALUES (?1, ?2, ?3, ?4)";
/// They are, or are not to be.
pub const FINISH_CUT_OFF: &str = "DELETE FROM cut_offs WHERE note = ?1";
/// Those that nobody finished for a while.
pub const OPEN_CUT_OFFS: &str = "SELECT note, uid, browser FROM cut_offs WHERE created_at <= ?1 ORDER BY created_at LIMIT 100";
/// It could not be finished: behind the others.
pub const DELAY_CUT_OFF: &str = "UPDATE cut_offs SET created_at = ?2 WHERE note = ?1";
/// A person's browser sessions.
pub const BROWSERS: &str = "SELECT id, agent, address, created_at, used_at FROM browser_sessions \
    WHERE uid = ?1 AND ends_at > ?2 AND used_at > ?3 ORDER BY used_at DESC LIMIT 100";
/// All of them, for their export.
pub const EXPORT: &str =
    "SELECT id, agent, address, created_at, used_at FROM browser_sessions WHERE uid = ?1 ORDER BY used_at DESC";
/// Ends one, of this person.
pub const END_BROWSER: &str = "DELETE FROM browser_sessions WHERE uid = ?1 AND id = ?2 RETURNING id";
/// Tells that one is being ended, if there is one.
pub const AUDIT_END: &str = audit_where!("EXISTS (SELECT 1 FROM browser_sessions WHERE uid = ?10 AND id = ?11)");
/// Ends those that came from a platform session.
pub const END_BROWSERS: &str = "DELETE FROM browser_sessions WHERE platform_session = ?1";
/// Everything of a person.
pub const ERASE: [&str; 3] = [
    "DELETE FROM browser_sessions WHERE uid = ?1",
    "DELETE FROM hand_overs WHERE uid = ?1",
    "DELETE FROM cut_offs WHERE uid = ?1",
];
/// Those that are over.
pub const FORGET_BROWSERS: &str = "DELETE FROM browser_sessions WHERE hash IN (SELECT hash FROM browser_sessions \
    WHERE ends_at <= ?1 UNION SELECT hash FROM browser_sessions WHERE used_at <= ?2 LIMIT 500)";

/// Somebody who is to be signed out elsewhere, as a row.
#[derive(Debug, Clone, Deserialize)]
pub struct CutOffRow {
    /// Its own id.
    pub note: String,
    /// The person.
    pub uid: Uid,
    /// The browser session that stays; empty where none does.
    pub browser: String,
}

/// Who is behind a handle or a browser session.
#[derive(Debug, Clone, Deserialize)]
pub struct HolderRow {
    /// The browser session; none of a handle.
    #[serde(default)]
    pub id: String,
    /// The person.
    pub uid: Uid,
    /// [`tmcp_http::people::Names`] as JSON.
    pub subject: String,
    /// The platform session that it came from.
    pub platform_session: String,
    /// Its generation.
    pub generation: i64,
    /// When the person proved who they are; told of a browser session alone.
    #[serde(default)]
    pub proven_at: Millis,
}

/// A browser session as a row, for its owner's list.
#[derive(Debug, Clone, Deserialize)]
pub struct BrowserRow {
    /// Its id, which signs nobody in.
    pub id: String,
    /// What the browser called itself.
    pub agent: String,
    /// From where, truncated.
    pub address: String,
    /// When it began.
    pub created_at: Millis,
    /// When it was last used.
    pub used_at: Millis,
}
