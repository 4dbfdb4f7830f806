//! Every statement of the group, with its row types. Items of a batch come as one JSON array through `json_each`, so that a batch
//! of a hundred is as many statements as a batch of one. `CROSS JOIN` keeps SQLite from walking a whole namespace per item, and
//! `INDEXED BY` from walking tombstones; a test holds the plans.
//!
//! The id of an announced blob is its block's, of 24 characters, a hyphen, and its place in the block, whose bit in `unused` it is.
//!
//! In a join, a column equals `+?1` and not `?1`, and a limit is `+?1` too: SQLite plans for the values that are bound, and plans anew
//! whenever others are, which took 0.25 ms of every write. It does not look into an expression.

use serde::{Deserialize, Serialize};
use tmcp_ports::{Row, SqlError};
use tmcp_protocol::Millis;

/// Writes the items: the last write wins by client timestamp, an item without one always does. An item whose intent was swept is
/// left out, since its blob may be gone. Deletions become tombstones: without a timestamp only of a key that is there, with one always,
/// so that another device's older write loses even where this one's never arrived. Returns the rows that it wrote, of each what the
/// writer does not know. Triggers keep usage, intents and garbage, and make the usage row; a namespace begins at the present millisecond
/// times 1024, so that a cursor from before an erasure is older than everything in it.
pub const WRITE: &str = "INSERT INTO storage_entries (uid, app, key, seq, version, client_ts, size, blob, chunks, key_id, body, \
    content_type, created_at, updated_at, expires_at, deleted_at) \
    SELECT ?1, ?2, j.value ->> 'key', COALESCE(u.seq, ?3 * 1024) + 1 + j.key, COALESCE(e.version, 0) + 1, \
    CASE WHEN j.value ->> 'client_ts' IS NULL THEN MAX(?3, COALESCE(e.client_ts + 1, 0)) ELSE j.value ->> 'client_ts' END, \
    j.value ->> 'size', j.value ->> 'blob', j.value ->> 'chunks', j.value ->> 'key_id', j.value ->> 'body', \
    j.value ->> 'content_type', \
    CASE WHEN e.deleted_at IS NULL AND (e.expires_at IS NULL OR e.expires_at > ?3) THEN COALESCE(e.created_at, ?3) ELSE ?3 END, \
    ?3, j.value ->> 'expires_at', CASE WHEN j.value ->> 'blob' IS NULL THEN ?3 END \
    FROM json_each(?4) j LEFT JOIN storage_usage u ON u.uid = +?1 AND u.app = +?2 \
    LEFT JOIN storage_entries e ON e.uid = +?1 AND e.app = +?2 AND e.key = j.value ->> 'key' \
    WHERE (j.value ->> 'chunks' = 0 OR EXISTS (SELECT 1 FROM storage_intents i \
    WHERE i.block = substr(j.value ->> 'blob', 1, 24) AND (i.unused >> substr(j.value ->> 'blob', 26)) & 1)) \
    AND (j.value ->> 'blob' IS NOT NULL OR j.value ->> 'client_ts' IS NOT NULL OR (e.key IS NOT NULL AND e.deleted_at IS NULL)) \
    ON CONFLICT (uid, app, key) DO UPDATE SET seq = excluded.seq, version = excluded.version, client_ts = excluded.client_ts, \
    size = excluded.size, blob = excluded.blob, chunks = excluded.chunks, key_id = excluded.key_id, body = excluded.body, \
    content_type = excluded.content_type, created_at = excluded.created_at, updated_at = excluded.updated_at, \
    expires_at = excluded.expires_at, deleted_at = excluded.deleted_at \
    WHERE excluded.client_ts >= storage_entries.client_ts \
    RETURNING key, client_ts, updated_at";

/// Ends a write of `?4` items: moves the sequence on and sets usage to what has not expired; with `?5` set, the named CHECKs fail the
/// batch when that is over the quota.
pub const ACCOUNT: &str = "UPDATE storage_usage SET seq = seq + ?4, enforced = ?5, max_bytes = ?6, max_keys = ?7, (bytes, keys) = \
    (SELECT storage_usage.total_bytes - COALESCE(SUM(e.size), 0), storage_usage.total_keys - COUNT(e.key) \
    FROM storage_entries e INDEXED BY storage_entries_expiring \
    WHERE e.uid = ?1 AND e.app = ?2 AND e.deleted_at IS NULL AND e.expires_at <= ?3) WHERE uid = ?1 AND app = ?2";

/// What stands under the items' keys now.
pub const OUTCOME: &str = "SELECT e.key, e.seq, e.client_ts, e.size, e.blob, e.chunks, e.key_id, e.body, e.content_type, \
    e.created_at, e.updated_at, e.expires_at, e.deleted_at FROM json_each(?3) j CROSS JOIN storage_entries e \
    ON e.uid = +?1 AND e.app = +?2 AND e.key = j.value ->> 'key'";

/// Rows of the keys in a JSON array that are there and not expired.
pub const FIND: &str = "SELECT e.key, e.seq, e.client_ts, e.size, e.blob, e.chunks, e.key_id, e.body, e.content_type, \
    e.created_at, e.updated_at, e.expires_at, e.deleted_at FROM json_each(?4) j CROSS JOIN storage_entries e \
    ON e.uid = +?1 AND e.app = +?2 AND e.key = j.value \
    WHERE e.deleted_at IS NULL AND (e.expires_at IS NULL OR e.expires_at > ?3)";

/// One row.
pub const FIND_ONE: &str = "SELECT key, seq, client_ts, size, blob, chunks, key_id, body, content_type, created_at, updated_at, \
    expires_at, deleted_at FROM storage_entries WHERE uid = ?1 AND app = ?2 AND key = ?4 \
    AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)";

/// Keys in byte order from a first one (inclusive or not) up to an end.
pub const LIST: &str = "SELECT key, size, updated_at, expires_at FROM storage_entries WHERE uid = ?1 AND app = ?2 AND key >= ?4 \
    AND (?5 IS NULL OR key > ?5) AND (?6 IS NULL OR key < ?6) AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3) \
    ORDER BY key LIMIT +?7";

/// A portion of what a person keeps, in all apps, behind an app and key.
pub const EXPORT: &str = "SELECT app, key, seq, client_ts, size, blob, chunks, key_id, body, content_type, created_at, updated_at, \
    expires_at, deleted_at FROM storage_entries WHERE uid = ?1 AND (app, key) > (?2, ?3) AND deleted_at IS NULL \
    AND (expires_at IS NULL OR expires_at > ?4) ORDER BY app, key LIMIT 50";

/// Usage now: the totals, less what has expired and was not swept yet.
pub const USAGE: &str = "SELECT u.total_bytes - COALESCE(SUM(e.size), 0) AS bytes, u.total_keys - COUNT(e.key) AS keys \
    FROM storage_usage u LEFT JOIN storage_entries e INDEXED BY storage_entries_expiring \
    ON e.uid = u.uid AND e.app = u.app AND e.deleted_at IS NULL AND e.expires_at <= ?3 \
    WHERE u.uid = +?1 AND u.app = +?2 GROUP BY u.uid, u.app";

/// Where the namespace's sequence stands.
pub const SEQUENCE: &str = "SELECT seq, purged_seq FROM storage_usage WHERE uid = ?1 AND app = ?2";

/// What changed behind a place in the sequence, deletions and expired keys included; without a key, behind all of that place.
pub const CHANGES: &str = "SELECT key, seq, client_ts, size, blob, chunks, key_id, body, content_type, created_at, updated_at, \
    expires_at, deleted_at FROM storage_entries WHERE uid = ?1 AND app = ?2 AND seq >= ?3 AND (seq > ?3 OR key > ?4) \
    ORDER BY seq, key LIMIT +?5";

/// Announces blocks of blobs that are about to be written, `?7`, and returns how much room the namespace had (as if what has expired
/// still counted). With `?5` set, not when the namespace is so full that the batch must fail: what its items `?2` add that do not lose
/// against a newer write, and `?6`, the quota. The batch itself decides; this only keeps hopeless bytes out of KV.
pub const INTEND: &str = "INSERT INTO storage_intents (block, chunks, unused) \
    SELECT b.value ->> 0, b.value ->> 1, b.value ->> 2 FROM json_each(?7) b WHERE (?5 = 0 OR \
    COALESCE((SELECT u.total_bytes FROM storage_usage u WHERE u.uid = +?3 AND u.app = +?4), 0) - \
    (SELECT COALESCE(SUM(e.size), 0) FROM storage_entries e INDEXED BY storage_entries_expiring WHERE e.uid = +?3 AND e.app = +?4 \
    AND e.deleted_at IS NULL AND e.expires_at <= ?1) + \
    (SELECT COALESCE(SUM((k.value ->> 'size') - CASE WHEN e.deleted_at IS NULL AND (e.expires_at IS NULL OR e.expires_at > ?1) \
    THEN COALESCE(e.size, 0) ELSE 0 END), 0) FROM json_each(?2) k LEFT JOIN storage_entries e ON e.uid = +?3 AND e.app = +?4 \
    AND e.key = k.value ->> 'key' WHERE e.key IS NULL OR k.value ->> 'client_ts' IS NULL OR k.value ->> 'client_ts' >= e.client_ts) \
    <= ?6) RETURNING ?6 - COALESCE((SELECT u.total_bytes FROM storage_usage u WHERE u.uid = +?3 AND u.app = +?4), 0) AS room";

/// How many tombstones a namespace keeps, about.
pub const MAX_TOMBSTONES: i64 = 2_000;
/// Marks the tombstones beyond the most recent `?3` as gone.
pub const MARK_SURPLUS: &str = "UPDATE storage_usage SET purged_seq = MAX(purged_seq, COALESCE((SELECT e.seq FROM storage_entries e \
    INDEXED BY storage_entries_deletions WHERE e.uid = ?1 AND e.app = ?2 AND e.deleted_at IS NOT NULL \
    ORDER BY e.seq DESC LIMIT 1 OFFSET +?3), 0)) WHERE uid = ?1 AND app = ?2";
/// Removes tombstones that are marked as gone.
pub const DROP_SURPLUS: &str = "DELETE FROM storage_entries INDEXED BY storage_entries_deletions WHERE uid = ?1 AND app = ?2 \
    AND deleted_at IS NOT NULL AND seq <= (SELECT u.purged_seq FROM storage_usage u WHERE u.uid = ?1 AND u.app = ?2)";

/// Turns intents into garbage: those in a JSON array of blob ids that nobody has used.
pub const ABANDON: &str = "INSERT INTO storage_garbage (created_at, blob, chunks) SELECT ?1, j.value, i.chunks \
    FROM json_each(?2) j CROSS JOIN storage_intents i ON i.block = substr(j.value, 1, 24) \
    WHERE (i.unused >> substr(j.value, 26)) & 1 ON CONFLICT DO NOTHING";
/// The second part of [`ABANDON`]: nobody can use them any more.
pub const FORGET_INTENTS: &str = "UPDATE storage_intents SET unused = unused & ~(SELECT SUM(1 << d.place) FROM \
    (SELECT DISTINCT substr(j.value, 26) AS place FROM json_each(?1) j WHERE substr(j.value, 1, 24) = storage_intents.block) d) \
    WHERE block IN (SELECT substr(j.value, 1, 24) FROM json_each(?1) j)";
/// The third: blocks of which nothing is left go.
pub const FORGET_BLOCKS: &str =
    "DELETE FROM storage_intents WHERE block IN (SELECT substr(j.value, 1, 24) FROM json_each(?1) j) AND unused = 0";
/// Intents of writes that never ended: of blocks whose ids begin lower.
pub const STALE_INTENTS: &str = "SELECT block, unused FROM storage_intents WHERE block < ?1 LIMIT +?2";

/// Garbage that no reader can still hold a row of: so much, behind so much that is older.
pub const OLD_GARBAGE: &str =
    "SELECT created_at, blob, chunks FROM storage_garbage WHERE created_at <= ?1 ORDER BY created_at, blob LIMIT +?2 OFFSET +?3";
/// Forgets garbage whose bytes are gone: a JSON array of blobs, which lie together, from time and blob of the first to those of the last.
pub const FORGET_GARBAGE: &str = "DELETE FROM storage_garbage WHERE (created_at, blob) >= (?2, ?3) AND (created_at, blob) <= (?4, ?5) \
    AND blob IN (SELECT j.value FROM json_each(?1) j)";

/// Namespaces with expired keys.
pub const EXPIRED: &str = "SELECT DISTINCT uid, app FROM (SELECT uid, app FROM storage_entries INDEXED BY storage_entries_expiry \
    WHERE expires_at <= ?1 AND deleted_at IS NULL LIMIT +?2)";
/// Turns a namespace's expired keys into tombstones; they keep their client timestamp, since nobody wrote.
pub const EXPIRE: &str = "UPDATE storage_entries SET deleted_at = ?3, updated_at = ?3, version = version + 1, size = 0, blob = NULL, \
    chunks = 0, key_id = NULL, body = NULL, content_type = NULL, expires_at = NULL, \
    seq = (SELECT u.seq + 1 FROM storage_usage u WHERE u.uid = ?1 AND u.app = ?2) \
    WHERE uid = ?1 AND app = ?2 AND expires_at <= ?3 AND deleted_at IS NULL";

/// Namespaces with tombstones that need not be remembered any more.
pub const OLD_TOMBSTONES: &str = "SELECT DISTINCT uid, app FROM (SELECT uid, app FROM storage_entries INDEXED BY storage_entries_tombstones \
    WHERE deleted_at <= ?1 LIMIT +?2)";
/// Remembers how far the namespace's tombstones are gone: older cursors have to start again.
pub const MARK_PURGE: &str = "UPDATE storage_usage SET purged_seq = MAX(purged_seq, COALESCE((SELECT MAX(seq) FROM storage_entries \
    WHERE uid = ?1 AND app = ?2 AND deleted_at <= ?3), 0)), enforced = 0 WHERE uid = ?1 AND app = ?2";
/// Removes the tombstones.
pub const PURGE: &str = "DELETE FROM storage_entries WHERE uid = ?1 AND app = ?2 AND deleted_at <= ?3";

/// Values under a master key that is not the current one.
pub const UNDER_OLD_KEY: &str = "SELECT uid, app, key, seq, client_ts, size, blob, chunks, key_id, body, content_type, created_at, \
    updated_at, expires_at, deleted_at FROM storage_entries WHERE key_id < ?1 OR key_id > ?1 LIMIT +?2";
/// Replaces a value's bytes by the same value under another key; does nothing when the row has changed since.
pub const RESEAL: &str = "UPDATE storage_entries SET blob = ?5, chunks = ?6, key_id = ?7, body = ?8 \
    WHERE uid = ?1 AND app = ?2 AND key = ?3 AND blob = ?4 AND (?6 = 0 OR EXISTS \
    (SELECT 1 FROM storage_intents i WHERE i.block = substr(?5, 1, 24) AND (i.unused >> substr(?5, 26)) & 1))";
/// Dates the garbage that a new seal left, which the row's own time does not: a reader may have read the old row just now.
pub const RETIRE_ONE: &str = "UPDATE storage_garbage SET created_at = ?3 WHERE created_at = ?1 AND blob = ?2";
/// Values per master key.
pub const KEY_COUNTS: &str = "SELECT key_id, COUNT(*) AS count FROM storage_entries WHERE key_id IS NOT NULL GROUP BY key_id";

/// Records all blobs of a user, or of a user and app.
pub const RETIRE_ALL: &str = "INSERT INTO storage_garbage (created_at, blob, chunks) SELECT ?3, blob, chunks FROM storage_entries \
    WHERE uid = ?1 AND (?2 IS NULL OR app = ?2) AND chunks > 0 ON CONFLICT DO NOTHING";
/// Removes all rows of a user, or of a user and app.
pub const ERASE: &str = "DELETE FROM storage_entries WHERE uid = ?1 AND (?2 IS NULL OR app = ?2)";
/// Removes the usage rows of a user, or of a user and app.
pub const ERASE_USAGE: &str = "DELETE FROM storage_usage WHERE uid = ?1 AND (?2 IS NULL OR app = ?2)";

/// How much waits to be swept; what is more than 10,000 is not counted to its end.
pub const QUEUES: &str = "SELECT 'storage_intents' AS queue, COUNT(*) AS waiting FROM (SELECT 1 FROM storage_intents LIMIT 10001) \
    UNION ALL SELECT 'storage_garbage', COUNT(*) FROM (SELECT 1 FROM storage_garbage LIMIT 10001)";
/// Answers when the database does, and has its tables.
pub const PROBE: &str = "SELECT uid FROM storage_usage WHERE uid = ''";

/// How many records wait.
#[derive(Debug, Clone, Deserialize)]
pub struct CountRow {
    /// For what.
    pub queue: String,
    /// So many.
    pub waiting: i64,
}

/// A row of `storage_entries`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Its place in the namespace's sequence.
    pub seq: i64,
    /// The winning write's client timestamp.
    pub client_ts: Millis,
    /// Bytes of the value in UTF-8.
    pub size: i64,
    /// The blob id; none for a tombstone.
    pub blob: Option<String>,
    /// Chunks in KV; 0 when the bytes lie in `body`.
    pub chunks: i64,
    /// The master key's id.
    pub key_id: Option<String>,
    /// The sealed bytes in base64, when they are few.
    pub body: Option<String>,
    /// As the client gave it.
    pub content_type: Option<String>,
    /// When the key came to be.
    pub created_at: Millis,
    /// When it was written last.
    pub updated_at: Millis,
    /// When it ends.
    pub expires_at: Option<Millis>,
    /// When it was deleted.
    pub deleted_at: Option<Millis>,
}

/// Rows of `storage_entries`, read in one way by all, so that it is compiled once.
pub fn entries(rows: Vec<Row>) -> Result<Vec<Entry>, SqlError> {
    rows.into_iter().map(Row::read).collect()
}

/// What a write returns of a row that it wrote; the writer knows the rest.
#[derive(Debug, Clone, Deserialize)]
pub struct WrittenRow {
    /// The key.
    pub key: String,
    /// The winning write's client timestamp.
    pub client_ts: Millis,
    /// When it was written.
    pub updated_at: Millis,
}

impl Entry {
    /// Whether a reader sees it at `now`.
    pub fn is_live(&self, now: Millis) -> bool {
        self.deleted_at.is_none() && self.expires_at.is_none_or(|end| end > now)
    }
}

/// One item of a write batch, as `json_each` reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Item {
    /// The key.
    pub key: String,
    /// The client's timestamp, where it gave one.
    pub client_ts: Option<Millis>,
    /// Bytes of the value.
    pub size: i64,
    /// The new blob; none for a deletion.
    pub blob: Option<String>,
    /// Its chunks in KV.
    pub chunks: i64,
    /// Its master key.
    pub key_id: Option<String>,
    /// Its bytes, when they are few. Written beside the others, see `write::payload`.
    #[serde(skip)]
    pub body: Option<String>,
    /// As the client gave it.
    pub content_type: Option<String>,
    /// When it ends.
    pub expires_at: Option<Millis>,
}

/// A namespace as a row.
#[derive(Debug, Clone, Deserialize)]
pub struct NamespaceRow {
    /// The person.
    pub uid: tmcp_protocol::Uid,
    /// The mini-app.
    pub app: tmcp_protocol::AppId,
}

/// Garbage as a row.
#[derive(Debug, Clone, Deserialize)]
pub struct GarbageRow {
    /// Since when no row points at it.
    pub created_at: Millis,
    /// The blob id.
    pub blob: String,
    /// Its chunks in KV.
    pub chunks: i64,
}

/// A block of announced blobs as a row.
#[derive(Debug, Clone, Deserialize)]
pub struct BlockRow {
    /// The block's id.
    pub block: String,
    /// A bit for each of its ids that nobody has used.
    pub unused: i64,
}

/// Usage as a row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub struct UsageRow {
    /// Bytes of values.
    pub bytes: i64,
    /// Keys.
    pub keys: i64,
}

/// A place in the sequence as a row.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct SequenceRow {
    /// The last change.
    pub seq: i64,
    /// Up to here tombstones are gone.
    #[serde(default)]
    pub purged_seq: i64,
}

/// The app of a row.
#[derive(Debug, Deserialize)]
pub struct Place {
    /// Its id.
    pub app: String,
}
