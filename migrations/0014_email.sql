-- Codes that were sent to e-mail addresses, each for one sign-in. Owner: broker.
CREATE TABLE email_codes (
    state TEXT NOT NULL PRIMARY KEY,
    address TEXT NOT NULL,
    code TEXT NOT NULL,
    tries INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX email_codes_expiry ON email_codes (expires_at);
