//! `Sql`: Spin's SQLite database `default`.
//!
//! Each `open` is a new connection whose drop rolls back: a request opens one and keeps it, since its host calls come one after
//! another and no transaction is left open across an await. Only the first statement of a string runs, so that each text here is one.

use serde_json::Value as Json;
use spin_sdk::sqlite3::{self, Connection};
use std::sync::{Arc, Mutex, PoisonError};
use tmcp_ports::rows;
use tmcp_ports::{Row, Sql, SqlError, Statement, Value};

/// SQLite by Spin.
#[derive(Default)]
pub struct SqliteSql(Slot);

/// One connection.
pub(crate) struct Open(Connection);

type Slot = Arc<Mutex<Option<Arc<Open>>>>;

/// The request's connection. One on which something else failed than a constraint or a lock is given up: it may be stale, or hold a
/// transaction that would not end.
struct Shared {
    open: Arc<Open>,
    slot: Slot,
}

impl rows::Connection for Shared {
    fn execute(&self, sql: &str, args: &[Value]) -> Result<Vec<Row>, SqlError> {
        let outcome = self.open.execute(sql, args);
        if matches!(outcome, Err(SqlError::Unavailable(_))) || (outcome.is_err() && sql == "ROLLBACK") {
            *self.slot.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        outcome
    }
}

fn failed(error: &sqlite3::Error) -> SqlError {
    match error {
        sqlite3::Error::Io(message) => SqlError::from_message(message),
        other => SqlError::Unavailable(other.to_string()),
    }
}

impl rows::Connection for Open {
    fn execute(&self, sql: &str, args: &[Value]) -> Result<Vec<Row>, SqlError> {
        let args: Vec<sqlite3::Value> = args
            .iter()
            .map(|value| match value {
                Value::Null => sqlite3::Value::Null,
                Value::Integer(integer) => sqlite3::Value::Integer(*integer),
                Value::Text(text) => sqlite3::Value::Text(text.clone()),
            })
            .collect();
        let result = self.0.execute(sql, &args).map_err(|error| failed(&error))?;
        result
            .rows
            .into_iter()
            .map(|row| {
                let values = row.values.into_iter().map(|value| match value {
                    sqlite3::Value::Null => Ok(Json::Null),
                    sqlite3::Value::Integer(integer) => Ok(Json::from(integer)),
                    sqlite3::Value::Real(real) => Ok(Json::from(real)),
                    sqlite3::Value::Text(text) => Ok(Json::from(text)),
                    sqlite3::Value::Blob(_) => Err(SqlError::Unavailable("a blob".to_owned())),
                });
                let values = values.collect::<Result<Vec<_>, _>>()?;
                Ok(Row::of_columns(result.columns.iter().map(String::as_str).zip(values)))
            })
            .collect()
    }
}

impl SqliteSql {
    pub(crate) fn open(&self) -> Result<Box<dyn rows::Connection + Send>, SqlError> {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let open = match &*slot {
            Some(open) => open.clone(),
            None => {
                let connection = Connection::open_default().map_err(|error| failed(&error))?;
                slot.insert(Arc::new(Open(connection))).clone()
            }
        };
        Ok(Box::new(Shared { open, slot: self.0.clone() }))
    }
}

impl Sql for SqliteSql {
    async fn query(&self, statement: Statement) -> Result<Vec<Row>, SqlError> {
        rows::query(&*self.open()?, &statement)
    }

    async fn batch(&self, statements: Vec<Statement>) -> Result<Vec<Vec<Row>>, SqlError> {
        rows::batch(&*self.open()?, &statements)
    }

    const MIGRATES: bool = true;

    async fn migrate(&self, name: &'static str, statements: Vec<String>) -> Result<bool, SqlError> {
        rows::migrate(&*self.open()?, name, &statements)
    }
}
