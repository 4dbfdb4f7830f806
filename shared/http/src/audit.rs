//! The audit log: who did what, on whom, when, and how it ended. The one module that writes its table.
//!
//! Rows are inserted in the batch of the change they tell of. Persons appear by internal id; tokens and secrets never do.

use serde_json::Value as Json;
use tmcp_ports::{Clock, Platform, Random, Statement, Value, stmt};
use tmcp_protocol::ids::ulid;

const INSERT: &str = "INSERT INTO audit (id, at, action, outcome, actor, target, address, request_id, detail) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";

/// What happened.
#[derive(Debug, Clone, Default)]
pub struct Entry<'a> {
    /// In dotted words: `sign_in.matrix`.
    pub action: &'a str,
    /// `ok` or `refused`.
    pub outcome: &'a str,
    /// Who did it, by internal id.
    pub actor: Option<&'a str>,
    /// On whom or what.
    pub target: Option<&'a str>,
    /// From where, truncated.
    pub address: Option<String>,
    /// The request.
    pub request_id: Option<&'a str>,
    /// Anything else, without secrets.
    pub detail: Option<Json>,
}

/// The text of a statement that writes an entry only where a condition holds: for a change that may find nothing to do. The condition's
/// parameters begin with `?10`.
#[macro_export]
macro_rules! audit_where {
    ($condition:literal) => {
        concat!(
            "INSERT INTO audit (id, at, action, outcome, actor, target, address, request_id, detail) ",
            "SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9 WHERE ",
            $condition
        )
    };
}

/// [`statement`] with a text of [`audit_where`] and the parameters of its condition.
pub fn statement_where(platform: &impl Platform, sql: &'static str, entry: Entry<'_>, condition: [&str; 2]) -> Statement {
    let mut statement = statement(platform, entry);
    statement.sql = sql;
    statement.args.extend(condition.map(Value::from));
    statement
}

/// What somebody did, by their internal id, behind `?2`: for their own eyes. Without the request's id, which is ours.
pub const OF: &str = "SELECT id, at, action, outcome, target, address, detail FROM audit WHERE actor = ?1 AND id > ?2 \
    AND (?3 IS NULL OR action LIKE ?3 || '%') ORDER BY id LIMIT 500";

/// The statement that writes an entry, for the batch of the change.
pub fn statement(platform: &impl Platform, entry: Entry<'_>) -> Statement {
    let now = platform.clock().now();
    stmt!(
        INSERT,
        format!("aud_{}", ulid(now, platform.random().bytes())),
        now,
        entry.action,
        entry.outcome,
        entry.actor,
        entry.target,
        entry.address,
        entry.request_id,
        entry.detail.map(|detail| detail.to_string()),
    )
}
