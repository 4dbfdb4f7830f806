//! `Sql`: D1, binding `DB`.

use serde_json::Map;
use tmcp_ports::{Row, Sql, SqlError, Statement, Value};
use worker::send::SendFuture;
use worker::wasm_bindgen::JsValue;
use worker::{D1Database, D1PreparedStatement, D1Result, Env};

/// D1.
pub struct D1Sql(Env);

fn failed(error: &worker::Error) -> SqlError {
    SqlError::from_message(&error.to_string())
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
    let values: Vec<JsValue> = statement.args.iter().map(bound).collect();
    database.prepare(statement.sql).bind(&values).map_err(|error| failed(&error))
}

fn rows(result: &D1Result) -> Result<Vec<Row>, SqlError> {
    if let Some(error) = result.error() {
        return Err(SqlError::from_message(&error));
    }
    let rows: Vec<Map<String, serde_json::Value>> = result.results().map_err(|error| failed(&error))?;
    Ok(rows.into_iter().map(Row).collect())
}

impl D1Sql {
    pub(crate) fn new(env: &Env) -> Self {
        Self(env.clone())
    }

    fn database(&self) -> Result<D1Database, SqlError> {
        self.0.d1("DB").map_err(|error| failed(&error))
    }
}

impl Sql for D1Sql {
    async fn query(&self, statement: Statement) -> Result<Vec<Row>, SqlError> {
        let database = self.database()?;
        SendFuture::new(async move {
            let result = prepare(&database, &statement)?.all().await.map_err(|error| failed(&error))?;
            rows(&result)
        })
        .await
    }

    async fn batch(&self, statements: Vec<Statement>) -> Result<Vec<Vec<Row>>, SqlError> {
        let database = self.database()?;
        SendFuture::new(async move {
            let prepared = statements.iter().map(|statement| prepare(&database, statement)).collect::<Result<_, _>>()?;
            let results = database.batch(prepared).await.map_err(|error| failed(&error))?;
            results.iter().map(rows).collect()
        })
        .await
    }

    const MIGRATES: bool = false;

    async fn migrate(&self, _: &'static str, _: Vec<String>) -> Result<bool, SqlError> {
        Err(SqlError::Unavailable("on Workers, migrations are applied by `wrangler d1 migrations apply`".to_owned()))
    }
}
