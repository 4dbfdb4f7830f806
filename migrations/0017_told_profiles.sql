-- When a homeserver last told of a change of somebody's profile; 0 once it was looked at after that. Owner: identity.
ALTER TABLE profiles ADD COLUMN told_at INTEGER NOT NULL DEFAULT 0;

CREATE INDEX profiles_told ON profiles (told_at) WHERE told_at > 0;
