-- Usage is kept by triggers rather than summed at every write: a write costs the same in a namespace of one key and of a thousand, and
-- no path that changes a row can forget to count it. A trigger stands on one line: a semicolon at the end of a line ends a statement.

-- Bytes and keys of all values that are not deleted, those included that have expired and were not swept yet.
ALTER TABLE storage_usage ADD COLUMN total_bytes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE storage_usage ADD COLUMN total_keys INTEGER NOT NULL DEFAULT 0;

UPDATE storage_usage SET (total_bytes, total_keys) = (SELECT COALESCE(SUM(e.size), 0), COUNT(*) FROM storage_entries e WHERE e.uid = storage_usage.uid AND e.app = storage_usage.app AND e.deleted_at IS NULL);

-- What has expired in one namespace and was not swept yet: taken off the totals wherever usage is shown or checked.
CREATE INDEX storage_entries_expiring ON storage_entries (uid, app, expires_at, size) WHERE expires_at IS NOT NULL AND deleted_at IS NULL;

-- A namespace begins at the millisecond of its first write, times 1024: a cursor from before an erasure is older than everything that
-- comes after it, however much was written in between. An intent ends with the row that points at its blob.
CREATE TRIGGER storage_entries_added AFTER INSERT ON storage_entries BEGIN INSERT INTO storage_usage (uid, app, seq, purged_seq, bytes, keys, max_bytes, max_keys, enforced, total_bytes, total_keys) VALUES (NEW.uid, NEW.app, NEW.updated_at * 1024, NEW.updated_at * 1024, 0, 0, 0, 0, 0, iif(NEW.deleted_at IS NULL, NEW.size, 0), NEW.deleted_at IS NULL) ON CONFLICT (uid, app) DO UPDATE SET enforced = 0, total_bytes = total_bytes + excluded.total_bytes, total_keys = total_keys + excluded.total_keys; DELETE FROM storage_intents WHERE blob = iif(NEW.chunks > 0, NEW.blob, NULL); END;

-- A blob that a row no longer points at is garbage from that moment on.
CREATE TRIGGER storage_entries_changed AFTER UPDATE OF size, blob, deleted_at ON storage_entries BEGIN UPDATE storage_usage SET enforced = 0, total_bytes = total_bytes - iif(OLD.deleted_at IS NULL, OLD.size, 0) + iif(NEW.deleted_at IS NULL, NEW.size, 0), total_keys = total_keys - (OLD.deleted_at IS NULL) + (NEW.deleted_at IS NULL) WHERE uid = NEW.uid AND app = NEW.app; DELETE FROM storage_intents WHERE blob = iif(NEW.chunks > 0, NEW.blob, NULL); INSERT INTO storage_garbage (blob, chunks, created_at) SELECT OLD.blob, OLD.chunks, NEW.updated_at WHERE OLD.chunks > 0 AND OLD.blob IS NOT NEW.blob ON CONFLICT (blob) DO NOTHING; END;

CREATE TRIGGER storage_entries_removed AFTER DELETE ON storage_entries WHEN OLD.deleted_at IS NULL BEGIN UPDATE storage_usage SET enforced = 0, total_bytes = total_bytes - OLD.size, total_keys = total_keys - 1 WHERE uid = OLD.uid AND app = OLD.app; END;

-- Nothing sums from it any more, and every write had to keep it.
DROP INDEX storage_entries_live;
