-- What a client registered for the code grant, and which grants it may use: JSON arrays of texts. Owner: auth.
ALTER TABLE clients ADD COLUMN redirect_uris TEXT NOT NULL DEFAULT '[]';
ALTER TABLE clients ADD COLUMN grants TEXT NOT NULL DEFAULT '["urn:ietf:params:oauth:grant-type:token-exchange","refresh_token"]';
ALTER TABLE clients ADD COLUMN icon_url TEXT;
ALTER TABLE clients ADD COLUMN developer TEXT;

-- Authorization codes. Owner: auth.
CREATE TABLE authorization_codes (
    hash TEXT NOT NULL PRIMARY KEY,
    client_id TEXT NOT NULL,
    app_id TEXT NOT NULL,
    uid TEXT NOT NULL,
    subject TEXT NOT NULL,
    scope TEXT NOT NULL,
    redirect_uri TEXT NOT NULL,
    challenge TEXT NOT NULL,
    family TEXT NOT NULL UNIQUE,
    platform_session TEXT NOT NULL,
    generation INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    used_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX authorization_codes_expiry ON authorization_codes (expires_at);
CREATE INDEX authorization_codes_open ON authorization_codes (uid, app_id) WHERE used_at IS NULL;

-- Platform sessions that are being ended: found by maintenance where somebody died on the way. Owner: auth.
CREATE TABLE session_endings (
    session TEXT NOT NULL PRIMARY KEY,
    uid TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What a person has agreed to. Owner: account.
CREATE TABLE consents (
    uid TEXT NOT NULL,
    app_id TEXT NOT NULL,
    scope TEXT NOT NULL,
    client_id TEXT NOT NULL,
    method TEXT NOT NULL CONSTRAINT consent_method CHECK (method IN ('native', 'page')),
    approved_at INTEGER NOT NULL,
    PRIMARY KEY (uid, app_id, scope)
) STRICT, WITHOUT ROWID;

-- Questions that were put to a person for an app; `answer` is the id of the one answer. Owner: account.
CREATE TABLE consent_sessions (
    hash TEXT NOT NULL PRIMARY KEY,
    uid TEXT NOT NULL,
    client_id TEXT NOT NULL,
    app_id TEXT NOT NULL,
    scopes TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    answer TEXT
) STRICT, WITHOUT ROWID;

CREATE INDEX consent_sessions_expiry ON consent_sessions (expires_at);

-- Apps whose sessions of a person are being ended: found by maintenance where somebody died on the way. `note` is the id of the last one
-- who asked for it. Owner: account.
CREATE TABLE app_endings (
    uid TEXT NOT NULL,
    app_id TEXT NOT NULL,
    note TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (uid, app_id)
) STRICT, WITHOUT ROWID;

-- Browsers that a person is signed in with, and the handles by which a signed-in client hands a person over to one; `browser` is the
-- hash of the one session that a handle began. Owner: account.
CREATE TABLE browser_sessions (
    hash TEXT NOT NULL PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    uid TEXT NOT NULL,
    subject TEXT NOT NULL,
    platform_session TEXT NOT NULL,
    generation INTEGER NOT NULL,
    agent TEXT NOT NULL,
    address TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    used_at INTEGER NOT NULL,
    ends_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX browser_sessions_uid ON browser_sessions (uid);
CREATE INDEX browser_sessions_platform ON browser_sessions (platform_session);
CREATE INDEX browser_sessions_used ON browser_sessions (used_at);
CREATE INDEX browser_sessions_end ON browser_sessions (ends_at);

CREATE TABLE hand_overs (
    hash TEXT NOT NULL PRIMARY KEY,
    uid TEXT NOT NULL,
    subject TEXT NOT NULL,
    platform_session TEXT NOT NULL,
    generation INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    browser TEXT
) STRICT, WITHOUT ROWID;

CREATE INDEX hand_overs_expiry ON hand_overs (expires_at);

-- What is still to be told to others: events for Matrix rooms, webhooks for apps. Owner: shared/http/outbox.rs.
CREATE TABLE outbox (
    id TEXT NOT NULL PRIMARY KEY,
    channel TEXT NOT NULL CONSTRAINT outbox_channel CHECK (channel IN ('matrix', 'webhook')),
    kind TEXT NOT NULL,
    uid TEXT NOT NULL,
    app_id TEXT NOT NULL,
    content TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    delivered_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX outbox_due ON outbox (due_at) WHERE delivered_at IS NULL;
CREATE INDEX outbox_uid ON outbox (uid);
