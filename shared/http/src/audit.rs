//! The audit log: who did what, on whom, when, and how it ended. The one module that writes its table.
//!
//! Rows are inserted in the batch of the change they tell of. Persons appear by internal id; tokens and secrets never do.

use serde_json::Value as Json;
use sha2::{Digest, Sha256};
use tmcp_ports::{Clock, Platform, Random, Statement, Value, stmt};
use tmcp_protocol::Millis;
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
pub fn statement_where(platform: &impl Platform, sql: &'static str, entry: Entry<'_>, condition: &[&str]) -> Statement {
    let mut statement = statement(platform, entry);
    statement.sql = sql;
    statement.args.extend(condition.iter().map(|one| Value::from(*one)));
    statement
}

/// What somebody did, by their internal id, behind `?2`: for their own eyes. Without the request's id, which is ours.
pub const OF: &str = "SELECT id, at, action, outcome, target, address, detail FROM audit WHERE actor = ?1 AND id > ?2 \
    AND (?3 IS NULL OR action LIKE ?3 || '%') ORDER BY id LIMIT 500";

const INSERT_ONCE: &str = "INSERT INTO audit (id, at, action, outcome, actor, target, address, request_id, detail) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (id) DO NOTHING";

/// The statement that writes an entry once, however often it runs: time and `name` are the same each time, and of nothing else.
pub fn once(platform: &impl Platform, at: Millis, name: &str, entry: Entry<'_>) -> Statement {
    let mut random = [0; 16];
    random.copy_from_slice(Sha256::digest(name).split_at(16).0);
    let mut statement = statement(platform, entry);
    statement.sql = INSERT_ONCE;
    for (arg, value) in statement.args.iter_mut().zip([Value::from(format!("aud_{}", ulid(at, random))), Value::from(at.0)]) {
        *arg = value;
    }
    statement
}

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

/// How far it is sealed.
pub const HEAD: &str = "SELECT seq, seal FROM audit_head WHERE one = 1";
/// Rows that are not sealed yet.
pub const UNSEALED: &str = "SELECT id, at, action, outcome, actor, target, address, request_id, detail FROM audit \
    WHERE seq IS NULL ORDER BY id LIMIT 500";
/// Moves the head on from where it was.
pub const MOVE_HEAD: &str = "UPDATE audit_head SET seq = ?1, seal = ?2 WHERE one = 1 AND seq = ?3 AND seal = ?4";
/// Seals rows (a JSON array of id, seq, seal), if the head is ours.
pub const SEAL: &str = "UPDATE audit SET seq = j.value ->> 'seq', seal = j.value ->> 'seal' FROM json_each(?1) j \
    WHERE audit.id = +(j.value ->> 'id') AND audit.seq IS NULL AND (SELECT h.seal FROM audit_head h) = ?2";
/// Writes what the sealed rows are signs of (a JSON array), if the head is ours; once, since a sign's id is made from its row's seal.
pub const NOTICE: &str = "INSERT INTO audit (id, at, action, outcome, target, address, detail) \
    SELECT j.value ->> 'id', j.value ->> 'at', j.value ->> 'action', 'noticed', j.value ->> 'target', j.value ->> 'address', \
    j.value ->> 'detail' FROM json_each(?1) j WHERE (SELECT h.seal FROM audit_head h) = ?2 ON CONFLICT (id) DO NOTHING";
/// The operator is to be told of them.
pub const ALERT: &str = "INSERT INTO alerts (id, attempts, due_at) SELECT j.value ->> 'id', 0, ?3 FROM json_each(?1) j \
    WHERE (SELECT h.seal FROM audit_head h) = ?2 ON CONFLICT (id) DO NOTHING";
/// Sign-ins that were refused since then, of each account (a JSON array).
pub const FAILURES_OF: &str = "SELECT k.value AS name, (SELECT COUNT(*) FROM audit t WHERE t.outcome = 'refused' AND t.target = k.value \
    AND t.at > ?2 AND t.action LIKE 'sign_in.%') AS count FROM json_each(?1) k";
/// The same from each network.
pub const FAILURES_FROM: &str = "SELECT k.value AS name, (SELECT COUNT(*) FROM audit t WHERE t.outcome = 'refused' AND t.address = k.value \
    AND t.at > ?2 AND t.action LIKE 'sign_in.%') AS count FROM json_each(?1) k";
/// Which of these signs (a JSON array) were noticed since then: their places in it.
pub const NOTICED: &str = "SELECT j.key AS n FROM json_each(?1) j WHERE EXISTS (SELECT 1 FROM audit n WHERE n.outcome = 'noticed' \
    AND n.action = j.value ->> 'action' AND n.at > ?2 AND n.target IS j.value ->> 'target' AND n.address IS j.value ->> 'address')";
/// The last sealed row.
pub const LAST_SEALED: &str = "SELECT at, seq, seal FROM audit WHERE seq = ?1";
/// Whether somebody of that server came before a row.
pub const SERVER_BEFORE: &str = "SELECT id FROM audit WHERE action = 'sign_in.matrix.first' AND target = ?1 AND id < ?2 LIMIT 1";
/// A portion of the log behind a number, for who verifies it.
pub const SEALED: &str = "SELECT id, at, action, outcome, actor, target, address, request_id, detail, seq, seal FROM audit \
    WHERE seq > ?1 ORDER BY seq LIMIT 500";
/// Where it begins.
pub const CHECKPOINT: &str = "SELECT seq, seal, signature FROM audit_checkpoint WHERE one = 1";
/// The last row that may go: everything up to it is older than `?1`, or it is the thousandth.
pub const OLDEST: &str = "SELECT seq, seal FROM audit WHERE seq IS NOT NULL AND seq < COALESCE((SELECT MIN(n.seq) FROM audit n \
    WHERE n.seq IS NOT NULL AND n.at >= ?1), 9223372036854775807) \
    AND seq <= (SELECT MIN(f.seq) FROM audit f WHERE f.seq IS NOT NULL) + 999 ORDER BY seq DESC LIMIT 1";
/// The log begins behind it.
pub const PUT_CHECKPOINT: &str = "INSERT INTO audit_checkpoint (one, seq, seal, signature, made_at) VALUES (1, ?1, ?2, ?3, ?4) \
    ON CONFLICT (one) DO UPDATE SET seq = excluded.seq, seal = excluded.seal, signature = excluded.signature, \
    made_at = excluded.made_at WHERE excluded.seq > audit_checkpoint.seq";
/// What was before it goes.
pub const PRUNE: &str = "DELETE FROM audit WHERE seq <= (SELECT c.seq FROM audit_checkpoint c WHERE c.one = 1)";
/// Alerts that are due.
pub const DUE_ALERTS: &str = "SELECT a.id, a.attempts, x.at, x.action, x.target, x.address, x.detail FROM alerts a \
    LEFT JOIN audit x ON x.id = a.id WHERE a.due_at <= ?1 ORDER BY a.due_at LIMIT 50";
/// It was heard, or given up.
pub const END_ALERT: &str = "DELETE FROM alerts WHERE id = ?1";
/// It was not: later.
pub const DELAY_ALERT: &str = "UPDATE alerts SET attempts = attempts + 1, due_at = ?2 WHERE id = ?1";
