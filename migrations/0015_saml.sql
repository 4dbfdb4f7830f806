-- SAML assertions that were used, so that none is twice, and whom they proved until the browser comes for it. Owner: saml.
CREATE TABLE saml_responses (
    assertion TEXT NOT NULL PRIMARY KEY,
    handle TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL,
    provider TEXT NOT NULL,
    proven TEXT NOT NULL,
    redeem_by INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX saml_waiting ON saml_responses (redeem_by) WHERE proven <> '';
CREATE INDEX saml_expiry ON saml_responses (expires_at);
