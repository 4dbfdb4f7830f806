-- How a person stands with the administrator. `standing` counts what was said about them, so that of two that reach a subject in the
-- wrong order the later one stays; `suspension` is what the person is told, as JSON.
ALTER TABLE users ADD COLUMN standing INTEGER NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN suspended_until INTEGER;
ALTER TABLE users ADD COLUMN suspension TEXT;

-- What was said and not yet told to every subject of the person: found by maintenance where somebody died on the way. Owner: identity.
CREATE TABLE standings_to_tell (
    uid TEXT NOT NULL PRIMARY KEY,
    standing INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The apps whose subjects were told of a suspension: those have to be told of its end, whatever became of the sessions there. Owner: identity.
CREATE TABLE standings_told (
    uid TEXT NOT NULL,
    app_id TEXT NOT NULL,
    PRIMARY KEY (uid, app_id)
) STRICT, WITHOUT ROWID;
