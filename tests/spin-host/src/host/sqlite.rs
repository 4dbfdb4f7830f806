//! `spin:sqlite/sqlite`: every `open` is a new connection to the label's file, which closes, and so rolls back, when the
//! component drops it or its instance ends.
//!
//! Foreign keys are on and the busy time-out is 5 s, both by rusqlite's bundled SQLite, which Spin uses as well. Of several
//! statements in one string only the first runs, and nothing tells. Errors are `io` with SQLite's own message.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::fallible_iterator::FallibleIterator;
use rusqlite::types::{Value as SqlValue, ValueRef};
use rusqlite::{Batch, Row, params_from_iter};
use tokio::task::spawn_blocking;
use wasmtime::Result;
use wasmtime::component::Resource;

use super::State;
use super::bindings::spin::sqlite::sqlite::{Error, Host, HostConnection, QueryResult, RowResult, Value};
use crate::counts::{self, Count};

/// An open connection.
#[derive(Clone)]
pub struct Connection(Arc<Mutex<rusqlite::Connection>>);

/// The file of the database with this label.
pub fn file(folder: &Path, label: &str) -> PathBuf {
    let name = if label == "default" { "sqlite_db.db".to_owned() } else { format!("sqlite_{label}.db") };
    folder.join(name)
}

impl Connection {
    /// Runs `query` where it may block: `BEGIN IMMEDIATE` waits up to 5 s for another connection.
    async fn run<T: Send + 'static>(&self, query: impl FnOnce(&rusqlite::Connection) -> T + Send + 'static) -> Result<T> {
        let connection = self.clone();
        let done = spawn_blocking(move || query(&connection.0.lock().unwrap_or_else(PoisonError::into_inner)));
        Ok(done.await?)
    }
}

impl Host for State {}

impl HostConnection for State {
    async fn open(&mut self, label: String) -> Result<Result<Resource<Connection>, Error>> {
        let Some(path) = self.component.sqlite_databases.get(&label).cloned() else {
            return Ok(Err(Error::AccessDenied));
        };
        counts::one(Count::SqlOpens);
        match spawn_blocking(move || rusqlite::Connection::open(path)).await? {
            Ok(connection) => Ok(Ok(self.table.push(Connection(Arc::new(Mutex::new(connection))))?)),
            Err(error) => Ok(Err(Error::Io(error.to_string()))),
        }
    }

    async fn execute(
        &mut self,
        connection: Resource<Connection>,
        statement: String,
        parameters: Vec<Value>,
    ) -> Result<Result<QueryResult, Error>> {
        counts::one(Count::SqlCalls);
        counts::one(Count::SqlStatements);
        let connection = self.table.get(&connection)?;
        connection.run(move |db| first_statement(db, &statement, parameters).map_err(|e| Error::Io(e.to_string()))).await
    }

    async fn last_insert_rowid(&mut self, connection: Resource<Connection>) -> Result<i64> {
        self.table.get(&connection)?.run(|db| db.last_insert_rowid()).await
    }

    async fn changes(&mut self, connection: Resource<Connection>) -> Result<u64> {
        self.table.get(&connection)?.run(|db| db.changes()).await
    }

    async fn drop(&mut self, connection: Resource<Connection>) -> Result<()> {
        self.table.delete(connection)?;
        Ok(())
    }
}

/// Runs the first statement of `sql`. `Batch` prepares one at a time, where `prepare` would refuse the rest.
fn first_statement(db: &rusqlite::Connection, sql: &str, parameters: Vec<Value>) -> rusqlite::Result<QueryResult> {
    let Some(mut statement) = Batch::new(db, sql).next()? else {
        return Ok(QueryResult { columns: Vec::new(), rows: Vec::new() });
    };
    let columns: Vec<String> = statement.column_names().into_iter().map(str::to_owned).collect();
    let parameters = parameters.into_iter().map(|value| match value {
        Value::Integer(integer) => SqlValue::Integer(integer),
        Value::Real(real) => SqlValue::Real(real),
        Value::Text(text) => SqlValue::Text(text),
        Value::Blob(blob) => SqlValue::Blob(blob),
        Value::Null => SqlValue::Null,
    });
    let rows = statement.query_map(params_from_iter(parameters), |row| row_result(row, columns.len()))?;
    let rows = rows.collect::<rusqlite::Result<_>>()?;
    Ok(QueryResult { columns, rows })
}

fn row_result(row: &Row<'_>, columns: usize) -> rusqlite::Result<RowResult> {
    let value = |column| {
        Ok(match row.get_ref(column)? {
            ValueRef::Null => Value::Null,
            ValueRef::Integer(integer) => Value::Integer(integer),
            ValueRef::Real(real) => Value::Real(real),
            ValueRef::Text(text) => Value::Text(String::from_utf8_lossy(text).into_owned()),
            ValueRef::Blob(blob) => Value::Blob(blob.to_vec()),
        })
    };
    (0..columns).map(value).collect::<rusqlite::Result<_>>().map(|values| RowResult { values })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn database() -> rusqlite::Connection {
        let db = rusqlite::Connection::open_in_memory().unwrap();
        db.execute_batch(
            "CREATE TABLE t (c INTEGER UNIQUE CONSTRAINT small CHECK (c < 10)) STRICT;
             CREATE TABLE child (t INTEGER REFERENCES t (c)) STRICT;",
        )
        .unwrap();
        db
    }

    fn run(db: &rusqlite::Connection, sql: &str, parameters: Vec<Value>) -> Result<QueryResult, String> {
        first_statement(db, sql, parameters).map_err(|error| error.to_string())
    }

    fn count(db: &rusqlite::Connection) -> i64 {
        db.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn only_the_first_statement_runs() {
        let db = database();
        for (sql, rows) in [
            ("INSERT INTO t VALUES (1); INSERT INTO t VALUES (2)", 1),
            ("  -- a comment\n; INSERT INTO t VALUES (3); this is not even SQL", 2),
            ("", 2),
            ("-- nothing", 2),
        ] {
            run(&db, sql, Vec::new()).unwrap();
            assert_eq!(count(&db), rows, "{sql}");
        }
    }

    #[test]
    fn errors_carry_sqlites_own_text() {
        let db = database();
        run(&db, "INSERT INTO t VALUES (1)", Vec::new()).unwrap();
        for (sql, message) in [
            ("INSERT INTO t VALUES (10)", "CHECK constraint failed: small"),
            ("INSERT INTO t VALUES (1)", "UNIQUE constraint failed: t.c"),
            ("INSERT INTO child VALUES (5)", "FOREIGN KEY constraint failed"),
            ("SELECT * FROM missing", "no such table: missing"),
        ] {
            let error = run(&db, sql, Vec::new()).unwrap_err();
            assert!(error.starts_with(message), "{error}");
        }
    }

    #[test]
    fn values_come_back_as_they_went_in() {
        let values = vec![
            Value::Integer((1 << 53) - 1),
            Value::Integer(i64::MIN),
            Value::Real(0.1),
            Value::Text("grüß".into()),
            Value::Blob(vec![0, 255]),
            Value::Null,
        ];
        let result = run(&database(), "SELECT ?1 AS a, ?2, ?3, ?4, ?5, ?6", values.clone()).unwrap();
        assert_eq!(result.columns[0], "a");
        assert_eq!(format!("{:?}", result.rows[0].values), format!("{values:?}"));
    }
}
