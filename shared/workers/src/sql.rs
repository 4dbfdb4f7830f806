//! `Sql`: D1, binding `DB`. Rows come over as one JSON text: every value that is fetched from an object by itself is several calls out
//! of wasm.

use crate::bindings::binding;
use tmcp_ports::{Row, Sql, SqlError, Statement, Value};
use worker::Env;
use worker::js_sys::{Array, JSON};
use worker::send::SendFuture;
use worker::wasm_bindgen::{JsCast, JsValue};
use worker::wasm_bindgen_futures::JsFuture;
use worker::worker_sys::types::{D1Database, D1PreparedStatement, D1Result};

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

fn prepare(database: &D1Database, statement: &Statement) -> Result<D1PreparedStatement, SqlError> {
    statement.check()?;
    let values: Array = statement.args.iter().map(bound).collect();
    database.prepare(statement.sql).and_then(|prepared| prepared.bind(values)).map_err(failed)
}

fn rows(result: &D1Result) -> Result<Vec<Row>, SqlError> {
    if let Some(error) = result.error().map_err(failed)? {
        return Err(SqlError::from_message(&error));
    }
    let Some(results) = result.results().map_err(failed)? else { return Ok(Vec::new()) };
    if results.length() == 0 {
        return Ok(Vec::new());
    }
    let text = JSON::stringify(&results).map_err(failed)?;
    let rows: Vec<serde_json::Map<String, serde_json::Value>> =
        serde_json::from_slice(String::from(text).as_bytes()).map_err(malformed)?;
    Ok(rows.into_iter().map(Row).collect())
}

impl D1Sql {
    pub(crate) fn new(env: &Env) -> Self {
        Self(env.clone())
    }

    fn database(&self) -> Result<D1Database, SqlError> {
        binding(&self.0, "DB").map_err(SqlError::Unavailable)
    }
}

impl Sql for D1Sql {
    async fn query(&self, statement: Statement) -> Result<Vec<Row>, SqlError> {
        let database = self.database()?;
        SendFuture::new(async move {
            let promise = prepare(&database, &statement)?.all().map_err(failed)?;
            rows(&JsFuture::from(promise).await.map_err(failed)?.unchecked_into())
        })
        .await
    }

    async fn batch(&self, statements: Vec<Statement>) -> Result<Vec<Vec<Row>>, SqlError> {
        let database = self.database()?;
        SendFuture::new(async move {
            let prepared: Array = statements.iter().map(|statement| prepare(&database, statement)).collect::<Result<_, _>>()?;
            let results = JsFuture::from(database.batch(prepared).map_err(failed)?).await.map_err(failed)?;
            Array::from(&results).iter().map(|result| rows(&result.unchecked_into())).collect()
        })
        .await
    }

    const MIGRATES: bool = false;

    async fn migrate(&self, _: &'static str, _: Vec<String>) -> Result<bool, SqlError> {
        Err(SqlError::Unavailable("on Workers, migrations are applied by `wrangler d1 migrations apply`".to_owned()))
    }
}
