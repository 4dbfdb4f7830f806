-- A sign-in at a provider may be there to link an identity to a person who is signed in: whom, and in which browser session.
ALTER TABLE sign_ins ADD COLUMN uid TEXT;
ALTER TABLE sign_ins ADD COLUMN session TEXT;

-- Identities that were proven and wait for the person to say that they are theirs. Owner: identity.
CREATE TABLE links (
    hash TEXT NOT NULL PRIMARY KEY,
    uid TEXT NOT NULL,
    session TEXT NOT NULL,
    provider TEXT NOT NULL,
    external_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    username TEXT NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX links_expiry ON links (expires_at);

-- When the person last proved at a provider, for this browser session, who they are; 0 where nobody knows.
ALTER TABLE browser_sessions ADD COLUMN proven_at INTEGER NOT NULL DEFAULT 0;

-- People who took away a way to sign in, and are to be signed out of all but one browser: found by maintenance where somebody died on
-- the way. Owner: account.
CREATE TABLE cut_offs (
    uid TEXT NOT NULL PRIMARY KEY,
    browser TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
