-- How far the audit log is sealed: the number and the seal of the last row. Owner: shared/http/audit.rs, like what follows.
CREATE TABLE audit_head (
    one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    seq INTEGER NOT NULL,
    seal TEXT NOT NULL
) STRICT;

INSERT INTO audit_head (one, seq, seal) VALUES (1, 0, '');

-- Where the log begins once old rows went: the last one that went, signed.
CREATE TABLE audit_checkpoint (
    one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    seq INTEGER NOT NULL,
    seal TEXT NOT NULL,
    signature TEXT NOT NULL,
    made_at INTEGER NOT NULL
) STRICT;

CREATE INDEX audit_unsealed ON audit (id) WHERE seq IS NULL;
CREATE INDEX audit_noticed ON audit (action, at) WHERE outcome = 'noticed';
CREATE INDEX audit_first ON audit (target, id) WHERE action = 'sign_in.matrix.first';
CREATE INDEX audit_refused_target ON audit (target, at) WHERE outcome = 'refused';
CREATE INDEX audit_refused_address ON audit (address, at) WHERE outcome = 'refused';

-- Signs of an attack that the operator is still to be told of.
CREATE TABLE alerts (
    id TEXT NOT NULL PRIMARY KEY,
    attempts INTEGER NOT NULL,
    due_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX alerts_due ON alerts (due_at);
