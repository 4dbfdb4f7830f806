-- Notes of people who are to be signed out, each with an id of its own: who did not come through removes their own and nobody else's.
-- Owner: account.
DROP TABLE cut_offs;

CREATE TABLE cut_offs (
    note TEXT NOT NULL PRIMARY KEY,
    uid TEXT NOT NULL,
    browser TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX cut_offs_created ON cut_offs (created_at);
CREATE INDEX cut_offs_uid ON cut_offs (uid);
