//! `Sql`: D1, binding `DB`. Rows come over as one JSON text: every value that is fetched from an object by itself is several calls out
//! of wasm.

use crate::bindings::binding;
use crate::glue;
use tmcp_ports::{Row, Sql, SqlError, Statement, Value};
use worker::Env;
use worker::js_sys::Array;
use worker::send::SendFuture;
use worker::wasm_bindgen::JsValue;

/// D1.
pub struct D1Sql(Env);

fn failed(error: JsValue) -> SqlError {
    SqlError::from_message(&worker::Error::from(error).to_string())
}

fn malformed(error: impl std::fmt::Display) -> SqlError {
    SqlError::Unavailable(format!("D1 answered with {error}"))
}

fn bound(value: &Value) -> JsValue {
    match value {
        Value::Null => JsValue::NULL,
        // `Statement::check` has refused what a double cannot hold.
        #[allow(clippy::cast_precision_loss)]
        Value::Integer(integer) => JsValue::from_f64(*integer as f64),
        Value::Text(text) => JsValue::from_str(text),
    }
}

/// The statement as `glue.js` takes it: its text, and then its values.
fn checked(statement: &Statement) -> Result<Array, SqlError> {
    statement.check()?;
    Ok(std::iter::once(JsValue::from_str(statement.sql)).chain(statement.args.iter().map(bound)).collect())
}

fn rows(text: &JsValue) -> Result<Vec<Row>, SqlError> {
    let Some(text) = text.as_string() else { return Ok(Vec::new()) };
    let rows: Vec<serde_json::Map<String, serde_json::Value>> = serde_json::from_slice(text.as_bytes()).map_err(malformed)?;
    Ok(rows.into_iter().map(Row).collect())
}

impl D1Sql {
    pub(crate) fn new(env: &Env) -> Self {
        Self(env.clone())
    }

    fn database(&self) -> Result<JsValue, SqlError> {
        binding(&self.0, "DB").map_err(SqlError::Unavailable)
    }
}

impl Sql for D1Sql {
    async fn query(&self, statement: Statement) -> Result<Vec<Row>, SqlError> {
        let database = self.database()?;
        SendFuture::new(async move {
            let statement = checked(&statement)?;
            rows(&glue::query(&database, statement).await.map_err(failed)?)
        })
        .await
    }

    async fn batch(&self, statements: Vec<Statement>) -> Result<Vec<Vec<Row>>, SqlError> {
        let database = self.database()?;
        SendFuture::new(async move {
            let statements: Array = statements.iter().map(checked).collect::<Result<_, _>>()?;
            let results = glue::batch(&database, statements).await.map_err(failed)?;
            Array::from(&results).iter().map(|text| rows(&text)).collect()
        })
        .await
    }

    const MIGRATES: bool = false;

    async fn migrate(&self, _: &'static str, _: Vec<String>) -> Result<bool, SqlError> {
        Err(SqlError::Unavailable("on Workers, migrations are applied by `wrangler d1 migrations apply`".to_owned()))
    }
}
