//! D1: each database is a SQLite in memory. One request's statements are all done or none, as on D1.

use rusqlite::fallible_iterator::FallibleIterator;
use rusqlite::types::ValueRef;
use rusqlite::{Batch, Connection};
use serde_json::{Map, Value, json};

use super::{Outcome, State};

pub struct Database {
    pub name: String,
    sql: Connection,
}

impl Database {
    /// Its tables, and the migrations that wrangler has noted.
    pub fn summary(&self) -> Value {
        let rows = |sql: &str| self.run(sql).map(|results| results[0]["results"].clone()).unwrap_or_default();
        json!({
            "tables": rows("SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite%' ORDER BY name"),
            "migrations": rows("SELECT name FROM d1_migrations ORDER BY id"),
        })
    }

    fn run(&self, sql: &str) -> rusqlite::Result<Value> {
        self.sql.execute_batch("SAVEPOINT request")?;
        let outcome = self.statements(sql);
        self.sql.execute_batch(if outcome.is_ok() { "RELEASE request" } else { "ROLLBACK TO request; RELEASE request" })?;
        outcome
    }

    fn statements(&self, sql: &str) -> rusqlite::Result<Value> {
        let mut results = Vec::new();
        let mut batch = Batch::new(&self.sql, sql);
        while let Some(mut statement) = batch.next()? {
            let names: Vec<_> = statement.column_names().into_iter().map(str::to_owned).collect();
            let mut rows = statement.raw_query();
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                let cell = |at: usize| match row.get_ref(at) {
                    Ok(ValueRef::Integer(number)) => json!(number),
                    Ok(ValueRef::Real(number)) => json!(number),
                    Ok(ValueRef::Text(text)) => json!(String::from_utf8_lossy(text)),
                    _ => Value::Null,
                };
                found.push(names.iter().enumerate().map(|(at, name)| (name.clone(), cell(at))).collect::<Map<_, _>>());
            }
            results.push(json!({"success": true, "results": found, "meta": {"duration": 1, "changes": 0, "rows_read": 0, "rows_written": 0}}));
        }
        Ok(results.into())
    }
}

/// Whether a request writes.
pub fn is_change(body: &Value) -> bool {
    let sql = body["sql"].as_str().unwrap_or_default().trim_start().to_uppercase();
    !sql.starts_with("SELECT") && !sql.starts_with("CREATE TABLE IF NOT EXISTS") && !sql.starts_with("PRAGMA")
}

fn shown(id: &str, database: &Database) -> Value {
    json!({"uuid": id, "name": database.name, "version": "production", "file_size": 0, "num_tables": 0})
}

pub fn list(state: &State, query: &str) -> Value {
    let wanted = query.split('&').find_map(|pair| pair.strip_prefix("name=")).unwrap_or_default();
    // As on Cloudflare, other names that contain this one come too.
    state
        .databases
        .iter()
        .filter(|(_, database)| database.name.contains(wanted))
        .map(|(id, database)| shown(id, database))
        .collect()
}

pub fn make(state: &mut State, body: &Value) -> Outcome {
    let name = body["name"].as_str().unwrap_or_default().to_owned();
    if state.databases.values().any(|other| other.name == name) {
        return Err((400, 7502, "a database with that name already exists".to_owned()));
    }
    let (id, database) = (state.id(), Database { name, sql: Connection::open_in_memory().unwrap() });
    let result = shown(&id, &database);
    state.databases.insert(id, database);
    Ok(result)
}

pub fn one(state: &State, id: &str) -> Outcome {
    match state.databases.get_key_value(id) {
        Some((id, database)) => Ok(shown(id, database)),
        None => Err((404, 7404, "the database was not found".to_owned())),
    }
}

pub fn query(state: &State, id: &str, body: &Value) -> Outcome {
    let database = state.databases.get(id).ok_or((404, 7404, "the database was not found".to_owned()))?;
    database.run(body["sql"].as_str().unwrap_or_default()).map_err(|error| (400, 7500, error.to_string()))
}
