//! Rows that fill the database. They are like those that the product writes, of people who never come: a thousand keys each, their
//! ids spread over the whole range, sealed values that are random bytes.

use std::path::Path;

use anyhow::{Context, Result};
use rusqlite::{Connection, params};

/// Keys of one made-up person: as many as the quota allows.
const KEYS_EACH: u64 = 1_000;

/// One batch of rows; `?1` is the number of the first person, `?2` of the last, `?3` how many keys each has. Person n's id is a hash of n
/// in the form of a ULID of these years, so that they lie around the people who are measured.
const ENTRIES: &str = "WITH RECURSIVE person(n) AS (SELECT ?1 UNION ALL SELECT n + 1 FROM person WHERE n < ?2), \
    number(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM number WHERE n < ?3 - 1) \
    INSERT INTO storage_entries (uid, app, key, seq, version, client_ts, size, blob, chunks, key_id, body, content_type, \
    created_at, updated_at, expires_at, deleted_at) \
    SELECT printf('01M%08X000000000000000', (p.n * 2654435761) % 4294967296), ?4, 'k' || k.n, ?5 + k.n, 1, ?5, 100, lower(hex(randomblob(16))), 0, 'k1', \
    lower(hex(randomblob(86))), NULL, ?5, ?5, NULL, NULL FROM person p CROSS JOIN number k";
/// The schema's trigger counts; this makes the rest of a usage row what the product's writes leave.
const USAGE: &str = "UPDATE storage_usage SET seq = MAX(seq, (SELECT MAX(e.seq) FROM storage_entries e WHERE e.uid = storage_usage.uid \
    AND e.app = storage_usage.app)), max_bytes = 10485760, max_keys = 1000, enforced = 1 WHERE app = ?1";
const LIVE: &str = "SELECT COUNT(*) FROM storage_entries WHERE deleted_at IS NULL";

/// Adds rows until so many live keys are there; gives how many were added.
pub fn fill(file: &Path, until: u64) -> Result<u64> {
    let mut database = Connection::open(file).with_context(|| format!("cannot open {}", file.display()))?;
    let live: u64 = database.query_row(LIVE, [], |row| row.get(0)).context("no table storage_entries: migrate first")?;
    let made: u64 =
        database.query_row("SELECT COUNT(DISTINCT uid) FROM storage_usage WHERE app = 'ma_fill'", [], |row| row.get(0))?;
    let wanted = until.saturating_sub(live);
    let app = "ma_fill";
    let at = 1_780_000_000_000_i64;
    let (whole, rest) = (wanted / KEYS_EACH, wanted % KEYS_EACH);
    let changes = database.transaction()?;
    let mut from = made + 1;
    for (people, keys) in [(whole, KEYS_EACH), (u64::from(rest > 0), rest)] {
        if people > 0 {
            let to = from + people - 1;
            changes.execute(ENTRIES, params![from, to, keys, app, at])?;
            from = to + 1;
        }
    }
    changes.execute(USAGE, params![app])?;
    changes.commit()?;
    // What stays in the log would have to be read through by the server.
    database.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    Ok(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_filled_to_the_number() {
        let file = std::env::temp_dir().join(format!("bench-fill-{}.sqlite", std::process::id()));
        let database = Connection::open(&file).unwrap();
        let mut migrations: Vec<_> = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../../migrations"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        migrations.sort();
        for migration in migrations {
            database.execute_batch(&std::fs::read_to_string(migration).unwrap()).unwrap();
        }
        drop(database);
        assert_eq!(fill(&file, 2_500).unwrap(), 2_500);
        assert_eq!(fill(&file, 4_000).unwrap(), 1_500);
        assert_eq!(fill(&file, 4_000).unwrap(), 0);
        let database = Connection::open(&file).unwrap();
        let live: u64 = database.query_row(LIVE, [], |row| row.get(0)).unwrap();
        assert_eq!(live, 4_000);
        let usage: u64 =
            database.query_row("SELECT SUM(total_keys) FROM storage_usage WHERE enforced = 1", [], |row| row.get(0)).unwrap();
        assert_eq!(usage, 4_000);
        std::fs::remove_file(file).unwrap();
    }
}
