//! `Sql`: records, queried across keys. D1 on Workers, SQLite on Spin, rusqlite in host tests.
//!
//! Rules that all three share: at most 100 bound variables and 5 compound SELECT terms a statement, integers within ±2^53, no
//! blobs (base64 text instead), no value inside the SQL text.

use serde::de::DeserializeOwned;
use std::future::Future;

/// The largest integer that survives D1 and Durable Objects, which pass numbers as doubles: 2^53 − 1.
pub const MAX_INTEGER: i64 = 9_007_199_254_740_991;
/// Bound variables of one statement at most.
pub const MAX_VARIABLES: usize = 100;

/// One bound value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// SQL NULL.
    Null,
    /// Within ±[`MAX_INTEGER`]; others are refused as [`SqlError::Unavailable`] before anything is sent.
    Integer(i64),
    /// Text.
    Text(String),
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Value::Integer(value)
    }
}

impl From<tmcp_protocol::Millis> for Value {
    fn from(value: tmcp_protocol::Millis) -> Self {
        Value::Integer(value.0)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Value::Integer(i64::from(value))
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Value::Text(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Value::Text(value)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Null, Into::into)
    }
}

/// One statement: a constant text with `?1`, `?2`, … and the values for them.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// The text. `'static`, so that no value can ever be pasted into it.
    pub sql: &'static str,
    /// The values in order.
    pub args: Vec<Value>,
}

impl Statement {
    /// A statement with its values.
    pub fn new<const N: usize>(sql: &'static str, args: [Value; N]) -> Self {
        Self { sql, args: args.into() }
    }

    /// Refuses what some adapter could not carry.
    pub fn check(&self) -> Result<(), SqlError> {
        if self.args.len() > MAX_VARIABLES {
            return Err(SqlError::Unavailable(format!("{} bound variables", self.args.len())));
        }
        for arg in &self.args {
            if let Value::Integer(value) = arg
                && !(-MAX_INTEGER..=MAX_INTEGER).contains(value)
            {
                return Err(SqlError::Unavailable("an integer beyond 2^53".to_owned()));
            }
        }
        Ok(())
    }
}

/// A [`Statement`] in one line: `stmt!(SQL, a, b)`.
#[macro_export]
macro_rules! stmt {
    ($sql:expr $(, $arg:expr)* $(,)?) => {
        $crate::sql::Statement::new($sql, [$($crate::sql::Value::from($arg)),*])
    };
}

/// One row of a result: a JSON object by column name, as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row(Vec<u8>);

impl Row {
    /// A row of a JSON object's text.
    pub fn of_json(object: &[u8]) -> Self {
        Self(object.to_vec())
    }

    /// A row of columns and their values.
    pub fn of_columns<'a>(columns: impl Iterator<Item = (&'a str, serde_json::Value)>) -> Self {
        let mut text = vec![b'{'];
        for (name, value) in columns {
            if text.len() > 1 {
                text.push(b',');
            }
            push(&mut text, &name);
            text.push(b':');
            push(&mut text, &value);
        }
        text.push(b'}');
        Self(text)
    }

    /// One column, where it is there and no others are of interest.
    pub fn get(&self, column: &str) -> Option<serde_json::Value> {
        self.value().ok()?.as_object_mut()?.remove(column)
    }

    /// Its own, so that this is compiled once and not for each row type.
    #[inline(never)]
    fn value(&self) -> Result<serde_json::Value, SqlError> {
        serde_json::from_slice(&self.0).map_err(misshapen)
    }

    /// The row as a row type, by way of its values: in half the code of [`Row::read`].
    pub fn decode<T: DeserializeOwned>(self) -> Result<T, SqlError> {
        serde_json::from_value(self.value()?).map_err(misshapen)
    }

    /// The row as a row type, without anything in between: in half the time of [`Row::decode`]. For what is read at every request.
    pub fn read<T: DeserializeOwned>(self) -> Result<T, SqlError> {
        serde_json::from_slice(&self.0).map_err(misshapen)
    }
}

/// Writing text or a value into memory does not fail.
fn push(text: &mut Vec<u8>, value: &impl serde::Serialize) {
    let _ = serde_json::to_writer(text, value);
}

fn misshapen(error: serde_json::Error) -> SqlError {
    SqlError::Unavailable(format!("a row of another shape: {error}"))
}

/// Why a statement or batch did not take effect. Nothing of a failed batch did.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SqlError {
    /// A constraint refused it: the name of a `CHECK`, or `table.column` for UNIQUE, NOT NULL and the like.
    #[error("constraint {0} failed")]
    Constraint(String),
    /// Another writer was in the way for too long; the same call may succeed later.
    #[error("database is busy")]
    Busy,
    /// Anything else; the text is for the log.
    #[error("database: {0}")]
    Unavailable(String),
}

impl SqlError {
    /// Reads SQLite's words, alone or wrapped in D1's or Spin's.
    pub fn from_message(message: &str) -> Self {
        for marker in ["CHECK constraint failed: ", "UNIQUE constraint failed: ", "NOT NULL constraint failed: "] {
            if let Some((_, rest)) = message.split_once(marker) {
                let name: String =
                    rest.chars().take_while(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | ',' | ' ')).collect();
                return SqlError::Constraint(name.trim().to_owned());
            }
        }
        if message.contains("FOREIGN KEY constraint failed") {
            return SqlError::Constraint("foreign_key".to_owned());
        }
        if message.contains("database is locked") || message.contains("SQLITE_BUSY") {
            return SqlError::Busy;
        }
        SqlError::Unavailable(message.to_owned())
    }

    /// Whether the named constraint refused it.
    pub fn is_constraint(&self, name: &str) -> bool {
        matches!(self, SqlError::Constraint(found) if found == name)
    }
}

/// Records, queried across keys.
pub trait Sql: Send + Sync {
    /// Runs one statement and returns its rows. Takes effect whole or not at all.
    fn query(&self, statement: Statement) -> impl Future<Output = Result<Vec<Row>, SqlError>> + Send;

    /// Runs several statements in order, all or nothing, and returns the rows of each. No other writer comes in between.
    fn batch(&self, statements: Vec<Statement>) -> impl Future<Output = Result<Vec<Vec<Row>>, SqlError>> + Send;

    /// Whether migrations come through [`migrate`](Self::migrate); where not, the platform has a tool of its own.
    const MIGRATES: bool;

    /// Applies a migration exactly once, all its statements or none, and says whether it did so now. For `/ops/migrate` alone.
    fn migrate(&self, name: &'static str, statements: Vec<String>) -> impl Future<Output = Result<bool, SqlError>> + Send;

    /// The rows of one statement, as a row type.
    fn rows<T: DeserializeOwned>(&self, statement: Statement) -> impl Future<Output = Result<Vec<T>, SqlError>> + Send
    where
        Self: Sized,
    {
        let rows = self.query(statement);
        async move { rows.await?.into_iter().map(Row::decode).collect() }
    }

    /// The first row of one statement, as a row type.
    fn first<T: DeserializeOwned>(&self, statement: Statement) -> impl Future<Output = Result<Option<T>, SqlError>> + Send
    where
        Self: Sized,
    {
        let rows = self.query(statement);
        async move { rows.await?.into_iter().next().map(Row::decode).transpose() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value as Json, json};

    #[test]
    fn a_row_is_read_as_it_was_written_in_either_way() {
        #[derive(Debug, PartialEq, serde::Deserialize)]
        struct Told {
            text: String,
            number: i64,
            #[serde(rename = "a \"name\"")]
            nothing: Option<String>,
        }
        let text = "a \"quote\", a\nline, \u{2028} and \u{0}";
        let columns = [("text", json!(text)), ("number", json!(MAX_INTEGER)), ("a \"name\"", Json::Null)];
        let row = Row::of_columns(columns.into_iter());
        let told = Told { text: text.to_owned(), number: MAX_INTEGER, nothing: None };
        assert_eq!(
            (row.clone().decode(), row.clone().read()),
            (Ok(told), Ok(Told { text: text.to_owned(), number: MAX_INTEGER, nothing: None }))
        );
        assert_eq!((row.get("number"), row.get("other")), (Some(json!(MAX_INTEGER)), None));
        assert!(Row::of_json(b"{\"text\":1}").decode::<Told>().is_err() && Row::of_json(b"[]").read::<Told>().is_err());
    }

    #[test]
    fn reads_constraints_out_of_each_wrapping() {
        let cases = [
            ("CHECK constraint failed: quota_bytes", "quota_bytes"),
            ("D1_ERROR: CHECK constraint failed: quota_keys: SQLITE_CONSTRAINT", "quota_keys"),
            (
                "UNIQUE constraint failed: identities.provider, identities.external_id",
                "identities.provider, identities.external_id",
            ),
            ("D1_ERROR: UNIQUE constraint failed: t.id: SQLITE_CONSTRAINT (extended: SQLITE_CONSTRAINT_PRIMARYKEY)", "t.id"),
            ("NOT NULL constraint failed: t.a", "t.a"),
        ];
        for (message, name) in cases {
            assert_eq!(SqlError::from_message(message), SqlError::Constraint(name.into()), "{message}");
        }
        assert_eq!(SqlError::from_message("database is locked"), SqlError::Busy);
        assert!(matches!(SqlError::from_message("no such table: x"), SqlError::Unavailable(_)));
    }

    #[test]
    fn statements_that_some_adapter_cannot_carry_are_refused() {
        assert!(stmt!("SELECT ?1", MAX_INTEGER).check().is_ok());
        assert!(stmt!("SELECT ?1", MAX_INTEGER + 1).check().is_err());
        let many = Statement { sql: "SELECT 1", args: vec![Value::Null; 101] };
        assert!(many.check().is_err());
    }
}
