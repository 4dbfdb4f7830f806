-- A person's own words about themselves. Owner: identity.
ALTER TABLE profiles ADD COLUMN bio TEXT;

-- What their homeserver said of them when it was last looked at (JSON), and when that was: what is other the next time has changed there.
ALTER TABLE profiles ADD COLUMN matrix_data TEXT;
ALTER TABLE profiles ADD COLUMN looked_at INTEGER NOT NULL DEFAULT 0;
