//! Every statement of the group, with its row types.

use serde::Deserialize;
use tmcp_http::audit_where;
use tmcp_protocol::{AppId, ClientId, Millis, ScopeSet, Uid};

/// Answers when the database does, and has its tables.
pub const PROBE: &str = "SELECT uid FROM consents WHERE uid = ''";

/// What a person has agreed to for an app.
pub const CONSENTS: &str = "SELECT scope FROM consents WHERE uid = ?1 AND app_id = ?2";
/// What a person has agreed to, for every app.
pub const ALL_CONSENTS: &str =
    "SELECT app_id, client_id, scope, approved_at FROM consents WHERE uid = ?1 ORDER BY app_id, scope LIMIT 2000";
/// The same with how they were asked.
pub const GIVEN: &str =
    "SELECT app_id, scope, method, approved_at FROM consents WHERE uid = ?1 ORDER BY app_id, scope LIMIT 2000";
/// Everything of a person.
pub const ERASE: [&str; 3] = [
    "DELETE FROM consents WHERE uid = ?1",
    "DELETE FROM consent_sessions WHERE uid = ?1",
    "DELETE FROM app_endings WHERE uid = ?1",
];
/// Puts a question.
pub const ASK: &str = "INSERT INTO consent_sessions (hash, uid, client_id, app_id, scopes, expires_at) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
/// A question that is open.
pub const FIND_QUESTION: &str = "SELECT client_id, app_id, scopes FROM consent_sessions \
    WHERE hash = ?1 AND uid = ?2 AND answer IS NULL AND expires_at > ?3";
/// Answers a question, once: with the answer's own id, since two may come within one millisecond.
pub const ANSWER: &str = "UPDATE consent_sessions SET answer = ?4 WHERE hash = ?1 AND uid = ?2 AND answer IS NULL \
    AND expires_at > ?3 RETURNING hash";
/// Tells of an answer that counted.
pub const AUDIT_ANSWER: &str = audit_where!("EXISTS (SELECT 1 FROM consent_sessions WHERE hash = ?10 AND answer = ?11)");
/// Remembers the scopes (a JSON array) of a question that was answered by this answer.
pub const AGREE: &str = "INSERT INTO consents (uid, app_id, scope, client_id, method, approved_at) \
    SELECT s.uid, s.app_id, j.value, s.client_id, ?3, ?4 FROM consent_sessions s JOIN json_each(?5) j \
    WHERE s.hash = +?1 AND s.answer = +?2 ON CONFLICT (uid, app_id, scope) DO NOTHING";
/// Takes back some scopes of an app (a JSON array), or all.
pub const TAKE_BACK: &str = "DELETE FROM consents WHERE uid = ?1 AND app_id = ?2 \
    AND (?3 IS NULL OR scope IN (SELECT value FROM json_each(?3))) RETURNING scope";
/// Notes that an app's sessions are to be ended.
pub const BEGIN_ENDING: &str = "INSERT INTO app_endings (uid, app_id, note, created_at) VALUES (?1, ?2, ?3, ?4) \
    ON CONFLICT (uid, app_id) DO UPDATE SET note = excluded.note, created_at = excluded.created_at";
/// They are ended, unless that was asked for again.
pub const FINISH_ENDING: &str = "DELETE FROM app_endings WHERE uid = ?1 AND app_id = ?2 AND note = ?3";
/// Those that nobody finished for a while.
pub const OPEN_ENDINGS: &str = "SELECT uid, app_id, note FROM app_endings WHERE created_at <= ?1 LIMIT 100";
/// Questions that are over for a day.
pub const FORGET_QUESTIONS: &str = "DELETE FROM consent_sessions WHERE hash IN \
    (SELECT hash FROM consent_sessions WHERE expires_at <= ?1 LIMIT 500)";

/// A question as a row.
#[derive(Debug, Clone, Deserialize)]
pub struct QuestionRow {
    /// The client that asks.
    pub client_id: ClientId,
    /// Its mini-app.
    pub app_id: AppId,
    /// For what.
    pub scopes: ScopeSet,
}

/// What was agreed to as a row.
#[derive(Debug, Clone, Deserialize)]
pub struct ConsentRow {
    /// The mini-app.
    pub app_id: AppId,
    /// The client that asked.
    pub client_id: ClientId,
    /// A scope.
    pub scope: String,
    /// When it was agreed to.
    pub approved_at: Millis,
}

/// An unfinished ending as a row.
#[derive(Debug, Clone, Deserialize)]
pub struct EndingRow {
    /// The person.
    pub uid: Uid,
    /// The mini-app.
    pub app_id: AppId,
    /// The id of the last one who asked for it.
    pub note: String,
}
