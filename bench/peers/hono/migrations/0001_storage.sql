-- Where the change sequence of one user in one app stands. Deletions up to purged_seq are forgotten.
CREATE TABLE namespaces (
    uid TEXT NOT NULL,
    app TEXT NOT NULL,
    seq INTEGER NOT NULL,
    purged_seq INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (uid, app)
) STRICT, WITHOUT ROWID;

-- One key, or its tombstone (deleted_at is set). The sealed value lies in `body` (base64) or, when it is large, in KV under `value_id`.
CREATE TABLE entries (
    uid TEXT NOT NULL,
    app TEXT NOT NULL,
    key TEXT NOT NULL,
    seq INTEGER NOT NULL,
    client_ts INTEGER NOT NULL,
    size INTEGER NOT NULL,
    value_id TEXT,
    key_id TEXT,
    body TEXT,
    content_type TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    expires_at INTEGER,
    deleted_at INTEGER,
    PRIMARY KEY (uid, app, key)
) STRICT, WITHOUT ROWID;

-- Usage is summed from this one.
CREATE INDEX entries_usage ON entries (uid, app, size, expires_at) WHERE deleted_at IS NULL;
CREATE INDEX entries_seq ON entries (uid, app, seq);
CREATE INDEX entries_expiry ON entries (expires_at) WHERE expires_at IS NOT NULL AND deleted_at IS NULL;
CREATE INDEX entries_tombstones ON entries (deleted_at) WHERE deleted_at IS NOT NULL;

-- Always empty: a row that says 0 makes its batch fail, and with it the write that went over the quota.
CREATE TABLE quota_guard (
    within INTEGER NOT NULL CONSTRAINT storage_quota CHECK (within = 1)
) STRICT;
