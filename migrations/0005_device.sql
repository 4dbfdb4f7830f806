-- Device codes (RFC 8628), until they are decided. What was allowed becomes a row of authorization_codes under the same hash. Owner: auth.
CREATE TABLE device_codes (
    hash TEXT NOT NULL PRIMARY KEY,
    user_hash TEXT NOT NULL UNIQUE,
    client_id TEXT NOT NULL,
    app_id TEXT NOT NULL,
    scope TEXT NOT NULL,
    family TEXT NOT NULL,
    address TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    polled_at INTEGER NOT NULL,
    interval_ms INTEGER NOT NULL,
    decision TEXT CONSTRAINT device_decision CHECK (decision IN ('allowed', 'refused')),
    decided_by TEXT
) STRICT, WITHOUT ROWID;

CREATE INDEX device_codes_expiry ON device_codes (expires_at);
CREATE INDEX device_codes_decided ON device_codes (decided_by) WHERE decided_by IS NOT NULL;
