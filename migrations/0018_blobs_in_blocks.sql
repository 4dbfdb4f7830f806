-- Rows that come and go with every large value lie in the order in which they grow old, so that neither table needs an index beside its
-- own key. A trigger stands on one line: a semicolon at the end of a line ends a statement.
DROP TRIGGER storage_entries_added;
DROP TRIGGER storage_entries_changed;

ALTER TABLE storage_garbage RENAME TO storage_garbage_before;

-- Blobs that no row points at any more. Owner: storage.
CREATE TABLE storage_garbage (
    created_at INTEGER NOT NULL,
    blob TEXT NOT NULL,
    chunks INTEGER NOT NULL,
    PRIMARY KEY (created_at, blob)
) STRICT, WITHOUT ROWID;

-- What a write had announced that is still on its way belongs to nobody an hour later.
INSERT INTO storage_garbage (created_at, blob, chunks) SELECT created_at, blob, chunks FROM storage_garbage_before UNION ALL SELECT created_at + 3600000, blob, chunks FROM storage_intents;

DROP TABLE storage_garbage_before;
DROP TABLE storage_intents;

-- Blobs that are about to be written, in blocks: the id begins with its time as twelve hexadecimal digits, and `unused` has a bit for each
-- of the block's ids that nobody has used. `chunks` is the most that one of them may take up in KV. Owner: storage.
CREATE TABLE storage_intents (
    block TEXT NOT NULL PRIMARY KEY,
    chunks INTEGER NOT NULL,
    unused INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- An intent ends with the row that points at its blob, whose id is the block's, of 24 characters, a hyphen, and its place there.
CREATE TRIGGER storage_entries_added AFTER INSERT ON storage_entries BEGIN INSERT INTO storage_usage (uid, app, seq, purged_seq, bytes, keys, max_bytes, max_keys, enforced, total_bytes, total_keys) VALUES (NEW.uid, NEW.app, NEW.updated_at * 1024, NEW.updated_at * 1024, 0, 0, 0, 0, 0, iif(NEW.deleted_at IS NULL, NEW.size, 0), NEW.deleted_at IS NULL) ON CONFLICT (uid, app) DO UPDATE SET enforced = 0, total_bytes = total_bytes + excluded.total_bytes, total_keys = total_keys + excluded.total_keys; UPDATE storage_intents SET unused = unused & ~(1 << substr(NEW.blob, 26)) WHERE block = iif(NEW.chunks > 0, substr(NEW.blob, 1, 24), NULL); DELETE FROM storage_intents WHERE block = iif(NEW.chunks > 0, substr(NEW.blob, 1, 24), NULL) AND unused = 0; END;

CREATE TRIGGER storage_entries_changed AFTER UPDATE OF size, blob, deleted_at ON storage_entries BEGIN UPDATE storage_usage SET enforced = 0, total_bytes = total_bytes - iif(OLD.deleted_at IS NULL, OLD.size, 0) + iif(NEW.deleted_at IS NULL, NEW.size, 0), total_keys = total_keys - (OLD.deleted_at IS NULL) + (NEW.deleted_at IS NULL) WHERE uid = NEW.uid AND app = NEW.app; UPDATE storage_intents SET unused = unused & ~(1 << substr(NEW.blob, 26)) WHERE block = iif(NEW.chunks > 0, substr(NEW.blob, 1, 24), NULL); DELETE FROM storage_intents WHERE block = iif(NEW.chunks > 0, substr(NEW.blob, 1, 24), NULL) AND unused = 0; INSERT INTO storage_garbage (created_at, blob, chunks) SELECT NEW.updated_at, OLD.blob, OLD.chunks WHERE OLD.chunks > 0 AND OLD.blob IS NOT NEW.blob ON CONFLICT DO NOTHING; END;
