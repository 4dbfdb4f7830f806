//! `Sql` and `Entities` on rusqlite, with D1's limits set.

use crate::platform::TestPlatform;
use crate::support::{Faults, lock};
use rusqlite::limits::Limit;
use rusqlite::types::ValueRef;
use serde_json::Value as Json;
use std::sync::{Arc, Mutex};
use tmcp_ports::migrations::MIGRATIONS;
use tmcp_ports::rows::{self, Connection};
use tmcp_ports::{
    Clock, Context, Entities, EntityError, EntityKind, Platform, Random, Row, Sql, SqlError, Statement, Tasks, Value,
};

/// One in-memory database.
#[derive(Clone)]
pub struct TestSql {
    connection: Arc<Mutex<rusqlite::Connection>>,
    faults: Faults,
}

struct Locked(Arc<Mutex<rusqlite::Connection>>);

fn error(error: &rusqlite::Error) -> SqlError {
    SqlError::from_message(&error.to_string())
}

/// Whether SQLite would plan the statement anew whenever other values are bound: a join in which a column equals a bare parameter, or a
/// bare `LIMIT`. It does not look into an expression such as `+?1`.
fn is_planned_anew(sql: &str) -> bool {
    (sql.contains(" JOIN ") && sql.contains(" = ?")) || sql.contains("LIMIT ?")
}

fn execute(connection: &rusqlite::Connection, sql: &str, args: &[Value]) -> Result<Vec<Row>, SqlError> {
    if is_planned_anew(sql) {
        return Err(SqlError::Unavailable(format!("write +? for ? in a join's equation or a LIMIT: {sql}")));
    }
    let mut statement = connection.prepare_cached(sql).map_err(|e| error(&e))?;
    let names: Vec<String> = statement.column_names().into_iter().map(str::to_owned).collect();
    let args = args.iter().map(|value| match value {
        Value::Null => rusqlite::types::Value::Null,
        Value::Integer(i) => rusqlite::types::Value::Integer(*i),
        Value::Text(text) => rusqlite::types::Value::Text(text.clone()),
    });
    let mut found = statement.query(rusqlite::params_from_iter(args)).map_err(|e| error(&e))?;
    let mut rows = Vec::new();
    while let Some(row) = found.next().map_err(|e| error(&e))? {
        let mut columns = Vec::with_capacity(names.len());
        for (i, name) in names.iter().enumerate() {
            let value = match row.get_ref(i).map_err(|e| error(&e))? {
                ValueRef::Null => Json::Null,
                ValueRef::Integer(i) => Json::from(i),
                ValueRef::Real(f) => Json::from(f),
                ValueRef::Text(text) => Json::from(String::from_utf8_lossy(text).into_owned()),
                ValueRef::Blob(_) => return Err(SqlError::Unavailable("a blob".to_owned())),
            };
            columns.push((name.as_str(), value));
        }
        rows.push(Row::of_columns(columns.into_iter()));
    }
    Ok(rows)
}

impl Connection for Locked {
    fn execute(&self, sql: &str, args: &[Value]) -> Result<Vec<Row>, SqlError> {
        execute(&lock(&self.0), sql, args)
    }
}

impl TestSql {
    pub(crate) fn new(faults: Faults) -> Result<Self, SqlError> {
        let connection = rusqlite::Connection::open_in_memory().map_err(|e| error(&e))?;
        for (limit, value) in [
            (Limit::SQLITE_LIMIT_VARIABLE_NUMBER, 100),
            (Limit::SQLITE_LIMIT_COMPOUND_SELECT, 5),
            (Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 50),
            (Limit::SQLITE_LIMIT_SQL_LENGTH, 100_000),
            (Limit::SQLITE_LIMIT_LENGTH, 2_000_000),
        ] {
            connection.set_limit(limit, value).map_err(|e| error(&e))?;
        }
        connection.pragma_update(None, "foreign_keys", true).map_err(|e| error(&e))?;
        for (_, file) in MIGRATIONS {
            connection.execute_batch(file).map_err(|e| error(&e))?;
        }
        Ok(Self { connection: Arc::new(Mutex::new(connection)), faults })
    }

    pub(crate) fn open(&self) -> Result<Box<dyn Connection + Send>, SqlError> {
        Ok(Box::new(Locked(self.connection.clone())))
    }
}

impl Sql for TestSql {
    async fn query(&self, statement: Statement) -> Result<Vec<Row>, SqlError> {
        self.faults.step().await;
        let rows = rows::query(&Locked(self.connection.clone()), &statement)?;
        self.faults.step().await;
        Ok(rows)
    }

    async fn batch(&self, statements: Vec<Statement>) -> Result<Vec<Vec<Row>>, SqlError> {
        self.faults.step().await;
        let rows = rows::batch(&Locked(self.connection.clone()), &statements)?;
        self.faults.step().await;
        Ok(rows)
    }

    const MIGRATES: bool = true;

    async fn migrate(&self, name: &'static str, statements: Vec<String>) -> Result<bool, SqlError> {
        rows::migrate(&Locked(self.connection.clone()), name, &statements)
    }
}

/// Entities as rows of the same database.
#[derive(Clone)]
pub struct TestEntities(pub(crate) std::sync::Weak<crate::platform::TestWorld>);

impl TestEntities {
    fn platform(&self) -> Result<TestPlatform, SqlError> {
        self.0.upgrade().map(TestPlatform).ok_or_else(|| SqlError::Unavailable("the test is over".to_owned()))
    }
}

impl Entities for TestEntities {
    async fn ask<E: EntityKind>(&self, id: &str, command: E::Command) -> Result<E::Reply, EntityError> {
        let platform = self.platform()?;
        let context = Context { now: platform.clock().now(), random: platform.random().bytes() };
        let rows::Asked { reply, effects, .. } = rows::ask::<E>(&*platform.sql().open()?, id, command, context)?;
        if effects {
            let (later, id) = (platform.clone(), id.to_owned());
            platform.tasks().after(async move {
                let _ = rows::run_effects::<E, _>(&later, || later.sql().open(), &id).await;
            });
        }
        Ok(reply)
    }

    async fn waiting(&self) -> Result<Option<i64>, EntityError> {
        Ok(rows::waiting(&*self.platform()?.sql().open()?)?)
    }

    async fn maintain<E: EntityKind>(&self, limit: i64) -> Result<i64, EntityError> {
        let platform = self.platform()?;
        rows::maintain::<E, _>(&platform, || platform.sql().open(), limit).await
    }
}

#[cfg(test)]
mod tests {
    use tmcp_ports::migrations::{MIGRATIONS, PROBE};

    #[test]
    fn the_probe_answers_with_the_newest_migration_and_not_before() {
        let connection = rusqlite::Connection::open_in_memory().unwrap();
        for (name, file) in MIGRATIONS {
            assert!(connection.prepare(PROBE).is_err(), "before {name}: make the probe one of the newest migration");
            connection.execute_batch(file).unwrap();
        }
        assert!(connection.prepare(PROBE).is_ok());
    }

    /// A database from before `0018_blobs_in_blocks`: what was garbage stays it, what was announced becomes it an hour after, and the
    /// value of an older id is garbage when it is replaced.
    #[test]
    fn intents_and_garbage_from_before_blocks_are_taken_over() {
        let connection = rusqlite::Connection::open_in_memory().unwrap();
        let (before, after) = MIGRATIONS.split_at(17);
        for (_, file) in before {
            connection.execute_batch(file).unwrap();
        }
        connection
            .execute_batch(
                "INSERT INTO storage_intents VALUES ('old', 1, 1000), ('dead', 2, 2000);
                INSERT INTO storage_garbage VALUES ('gone', 3, 3000);
                INSERT INTO storage_entries (uid, app, key, seq, version, client_ts, size, blob, chunks, key_id, created_at, updated_at)
                VALUES ('u', 'a', 'k', 1, 1, 1, 5, 'old', 1, 'k1', 1500, 1500);",
            )
            .unwrap();
        for (_, file) in after {
            connection.execute_batch(file).unwrap();
        }
        let garbage = || {
            let mut statement =
                connection.prepare("SELECT blob, chunks, created_at FROM storage_garbage ORDER BY created_at").unwrap();
            let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
            rows.collect::<Result<Vec<(String, i64, i64)>, _>>().unwrap()
        };
        let taken_over = [("gone".to_owned(), 3, 3000), ("dead".to_owned(), 2, 3_602_000)];
        assert_eq!(garbage(), taken_over);
        connection
            .execute_batch("UPDATE storage_entries SET blob = '0123456789abcdef01234567-1', updated_at = 4000 WHERE key = 'k'")
            .unwrap();
        let [gone, dead] = taken_over;
        assert_eq!(garbage(), [gone, ("old".to_owned(), 1, 4000), dead]);
    }
}
