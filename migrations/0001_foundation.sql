-- One schema for D1 and SQLite. Forward only, each file applied exactly once, one statement after another: no BEGIN, no PRAGMA.
-- Every table is owned by one function (docs/storage-schema.md). Times are milliseconds since 1970; binary is base64 text.

-- Entities as versioned rows (Spin; on Workers they are Durable Objects and these two stay empty). Owner: the entity adapter.
CREATE TABLE entities (
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    version INTEGER NOT NULL,
    state TEXT,
    due_at INTEGER,
    PRIMARY KEY (kind, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX entities_due ON entities (kind, due_at) WHERE due_at IS NOT NULL;

CREATE TABLE entity_effects (
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    version INTEGER NOT NULL,
    n INTEGER NOT NULL,
    body TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    PRIMARY KEY (kind, id, version, n)
) STRICT, WITHOUT ROWID;

CREATE INDEX entity_effects_due ON entity_effects (kind, due_at);

-- Audit log. Owner: shared/http/audit.rs. `actor` is a random reference; what it stands for is in audit_actors, whose row goes
-- when the person is erased. `seal` and `seq` are filled by maintenance.
CREATE TABLE audit (
    id TEXT NOT NULL PRIMARY KEY,
    at INTEGER NOT NULL,
    action TEXT NOT NULL,
    outcome TEXT NOT NULL,
    actor TEXT,
    target TEXT,
    address TEXT,
    request_id TEXT,
    detail TEXT,
    seq INTEGER UNIQUE,
    seal TEXT
) STRICT, WITHOUT ROWID;

CREATE INDEX audit_at ON audit (at);

-- People. Owner: identity.
CREATE TABLE users (
    uid TEXT NOT NULL PRIMARY KEY,
    status TEXT NOT NULL CONSTRAINT user_status CHECK (status IN ('active', 'suspended')),
    wallet_id TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE identities (
    provider TEXT NOT NULL,
    external_id TEXT NOT NULL,
    uid TEXT NOT NULL REFERENCES users (uid),
    kind TEXT NOT NULL CONSTRAINT identity_kind CHECK (kind IN ('matrix')),
    username TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    last_used_at INTEGER NOT NULL,
    PRIMARY KEY (provider, external_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX identities_uid ON identities (uid);

CREATE TABLE profiles (
    uid TEXT NOT NULL PRIMARY KEY REFERENCES users (uid),
    display_name TEXT,
    avatar_url TEXT,
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- OpenID tokens that were accepted once. Owner: identity.
CREATE TABLE openid_seen (
    hash TEXT NOT NULL PRIMARY KEY,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX openid_seen_expiry ON openid_seen (expires_at);

-- OAuth clients. Owner: auth.
CREATE TABLE clients (
    client_id TEXT NOT NULL PRIMARY KEY,
    app_id TEXT NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL CONSTRAINT client_kind CHECK (kind IN ('public', 'confidential')),
    secret_hash TEXT,
    scopes TEXT NOT NULL,
    origins TEXT NOT NULL,
    host INTEGER NOT NULL,
    official INTEGER NOT NULL,
    status TEXT NOT NULL CONSTRAINT client_status CHECK (status IN ('active', 'disabled')),
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    CONSTRAINT client_secret CHECK ((kind = 'confidential') = (secret_hash IS NOT NULL))
) STRICT, WITHOUT ROWID;

CREATE INDEX clients_app ON clients (app_id);

-- Refresh token families and their tokens. Owner: auth.
CREATE TABLE refresh_families (
    id TEXT NOT NULL PRIMARY KEY,
    uid TEXT NOT NULL,
    app_id TEXT NOT NULL,
    client_id TEXT NOT NULL,
    platform_session TEXT,
    subject TEXT NOT NULL,
    scope TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    ends_at INTEGER NOT NULL,
    ended_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX refresh_families_user ON refresh_families (uid, app_id);
CREATE INDEX refresh_families_session ON refresh_families (platform_session) WHERE platform_session IS NOT NULL;
CREATE INDEX refresh_families_end ON refresh_families (ends_at);
CREATE INDEX refresh_families_ended ON refresh_families (ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE refresh_tokens (
    hash TEXT NOT NULL PRIMARY KEY,
    family TEXT NOT NULL REFERENCES refresh_families (id),
    parent TEXT UNIQUE,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    used_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX refresh_tokens_family ON refresh_tokens (family);

-- Mini-app storage. Owner: storage. A row is the truth about a key; a large value's bytes lie in KV under `blob`.
CREATE TABLE storage_entries (
    uid TEXT NOT NULL,
    app TEXT NOT NULL,
    key TEXT NOT NULL,
    seq INTEGER NOT NULL,
    version INTEGER NOT NULL,
    client_ts INTEGER NOT NULL,
    size INTEGER NOT NULL,
    blob TEXT,
    chunks INTEGER NOT NULL,
    key_id TEXT,
    body TEXT,
    content_type TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    expires_at INTEGER,
    deleted_at INTEGER,
    PRIMARY KEY (uid, app, key),
    CONSTRAINT entry_shape CHECK ((deleted_at IS NULL) = (blob IS NOT NULL))
) STRICT, WITHOUT ROWID;

-- Usage is summed from this index alone (INDEXED BY: SQLite would take the primary key, and walk tombstones).
CREATE INDEX storage_entries_live ON storage_entries (uid, app, size, expires_at) WHERE deleted_at IS NULL;
CREATE INDEX storage_entries_seq ON storage_entries (uid, app, seq);
CREATE INDEX storage_entries_expiry ON storage_entries (expires_at) WHERE expires_at IS NOT NULL AND deleted_at IS NULL;
CREATE INDEX storage_entries_deletions ON storage_entries (uid, app, seq) WHERE deleted_at IS NOT NULL;
CREATE INDEX storage_entries_tombstones ON storage_entries (deleted_at) WHERE deleted_at IS NOT NULL;
CREATE INDEX storage_entries_key_id ON storage_entries (key_id) WHERE key_id IS NOT NULL;

CREATE TABLE storage_usage (
    uid TEXT NOT NULL,
    app TEXT NOT NULL,
    seq INTEGER NOT NULL,
    purged_seq INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    keys INTEGER NOT NULL,
    max_bytes INTEGER NOT NULL,
    max_keys INTEGER NOT NULL,
    enforced INTEGER NOT NULL,
    PRIMARY KEY (uid, app),
    CONSTRAINT quota_bytes CHECK (enforced = 0 OR bytes <= max_bytes),
    CONSTRAINT quota_keys CHECK (enforced = 0 OR keys <= max_keys)
) STRICT, WITHOUT ROWID;

-- Blobs that are about to be written, and blobs that no row points at any more.
CREATE TABLE storage_intents (
    blob TEXT NOT NULL PRIMARY KEY,
    chunks INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX storage_intents_age ON storage_intents (created_at);

CREATE TABLE storage_garbage (
    blob TEXT NOT NULL PRIMARY KEY,
    chunks INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX storage_garbage_age ON storage_garbage (created_at);
