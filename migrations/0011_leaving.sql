-- People who asked to be erased: from when on that is done, and since when it is under way, so that nobody changes their mind half-way.
-- Owner: identity.
ALTER TABLE users ADD COLUMN leaving_at INTEGER;
ALTER TABLE users ADD COLUMN erasing_at INTEGER;

CREATE INDEX users_leaving ON users (leaving_at) WHERE leaving_at IS NOT NULL;

-- Questions to people who signed in meanwhile: whether they stay. Owner: identity.
CREATE TABLE stays (
    hash TEXT NOT NULL PRIMARY KEY,
    uid TEXT NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX stays_expiry ON stays (expires_at);

-- What was done by somebody, for their own eyes.
CREATE INDEX audit_actor ON audit (actor, id) WHERE actor IS NOT NULL;

-- Sign-ins under way of somebody, and devices that somebody let in: so that they can be erased.
CREATE INDEX sign_ins_uid ON sign_ins (uid) WHERE uid IS NOT NULL;
