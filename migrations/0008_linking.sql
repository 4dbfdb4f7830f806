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

-- When the person last proved in a browser session, or in the client that handed them over, who they are.
ALTER TABLE browser_sessions ADD COLUMN proven_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE hand_overs ADD COLUMN proven_at INTEGER NOT NULL DEFAULT 0;
