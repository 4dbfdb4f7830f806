-- Who may be a developer (TMCP 1.12). Owner of this and of all below: developer.
CREATE TABLE developer_whitelist (
    matrix_user_id TEXT NOT NULL PRIMARY KEY,
    note TEXT,
    added_by TEXT NOT NULL,
    added_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Who came to the console.
CREATE TABLE developers (
    id TEXT NOT NULL PRIMARY KEY,
    uid TEXT NOT NULL UNIQUE,
    matrix_user_id TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX developers_matrix ON developers (matrix_user_id);

CREATE TABLE organizations (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    description TEXT,
    website TEXT,
    contact_email TEXT,
    created_by TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE organization_members (
    org TEXT NOT NULL,
    developer TEXT NOT NULL,
    role TEXT NOT NULL CONSTRAINT member_role CHECK (role IN ('admin', 'developer', 'viewer')),
    since INTEGER NOT NULL,
    PRIMARY KEY (org, developer)
) STRICT, WITHOUT ROWID;

CREATE INDEX organization_members_of ON organization_members (developer, org);

-- Open invitations; one that was answered is gone.
CREATE TABLE organization_invitations (
    id TEXT NOT NULL PRIMARY KEY,
    org TEXT NOT NULL,
    matrix_user_id TEXT NOT NULL,
    role TEXT NOT NULL CONSTRAINT invitation_role CHECK (role IN ('admin', 'developer', 'viewer')),
    invited_by TEXT NOT NULL,
    invited_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    UNIQUE (org, matrix_user_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX organization_invitations_of ON organization_invitations (matrix_user_id);
CREATE INDEX organization_invitations_by ON organization_invitations (invited_by);
CREATE INDEX organization_invitations_expiry ON organization_invitations (expires_at);

-- Codes for the console: a minute, once.
CREATE TABLE developer_codes (
    hash TEXT NOT NULL PRIMARY KEY,
    uid TEXT NOT NULL,
    matrix_user_id TEXT NOT NULL,
    redirect_uri TEXT NOT NULL,
    challenge TEXT NOT NULL,
    session TEXT NOT NULL UNIQUE,
    platform_session TEXT NOT NULL,
    generation INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    used_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX developer_codes_expiry ON developer_codes (expires_at);
CREATE INDEX developer_codes_open ON developer_codes (uid) WHERE used_at IS NULL;

-- Sessions at the console: what access tokens of developers are of, and the family of their refresh tokens.
CREATE TABLE developer_sessions (
    id TEXT NOT NULL PRIMARY KEY,
    developer TEXT NOT NULL,
    uid TEXT NOT NULL,
    platform_session TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    ends_at INTEGER NOT NULL,
    ended_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX developer_sessions_of ON developer_sessions (uid);
CREATE INDEX developer_sessions_from ON developer_sessions (platform_session);
CREATE INDEX developer_sessions_end ON developer_sessions (ends_at);
CREATE INDEX developer_sessions_ended ON developer_sessions (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX developer_sessions_developer ON developer_sessions (developer);

CREATE TABLE developer_tokens (
    hash TEXT NOT NULL PRIMARY KEY,
    session TEXT NOT NULL,
    parent TEXT UNIQUE,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    used_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX developer_tokens_session ON developer_tokens (session);
