-- Identities of every kind: which kinds there are is the code's to know.
CREATE TABLE identities_of_every_kind (
    provider TEXT NOT NULL,
    external_id TEXT NOT NULL,
    uid TEXT NOT NULL REFERENCES users (uid),
    kind TEXT NOT NULL,
    username TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    last_used_at INTEGER NOT NULL,
    PRIMARY KEY (provider, external_id)
) STRICT, WITHOUT ROWID;

INSERT INTO identities_of_every_kind (provider, external_id, uid, kind, username, created_at, last_used_at) SELECT provider, external_id, uid, kind, username, created_at, last_used_at FROM identities;

DROP TABLE identities;

ALTER TABLE identities_of_every_kind RENAME TO identities;

CREATE INDEX identities_uid ON identities (uid);

-- An address that a provider vouched for. It finds nobody and links nothing.
ALTER TABLE users ADD COLUMN email TEXT;

-- Sign-ins that are under way at a provider: `state` is the hash of what travels through the provider, `browser` that of the cookie of
-- the browser that began it. Owner: identity.
CREATE TABLE sign_ins (
    state TEXT NOT NULL PRIMARY KEY,
    browser TEXT NOT NULL,
    provider TEXT NOT NULL,
    go_on TEXT NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX sign_ins_expiry ON sign_ins (expires_at);

-- What providers publish: their endpoints and their keys. Owner: identity.
CREATE TABLE provider_documents (
    url TEXT NOT NULL PRIMARY KEY,
    body TEXT NOT NULL,
    fetched_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
