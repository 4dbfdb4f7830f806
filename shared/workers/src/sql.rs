//! `Sql`: D1, binding `DB`. Rows come over as one text: every value that is fetched from an object by itself is several calls out
//! of wasm.

use crate::bindings::binding;
use crate::map::{Map, map};
use crate::{glue, settled, text};
use std::cell::RefCell;
use tmcp_ports::{Row, Sql, SqlError, Statement, Value};
use worker::Env;
use worker::js_sys::{Array, Promise};
use worker::send::SendFuture;
use worker::wasm_bindgen::JsValue;

/// D1.
pub struct D1Sql(Env);

fn failed(error: JsValue) -> SqlError {
    SqlError::from_message(&worker::Error::from(error).to_string())
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

thread_local! {
    /// The statements' texts on the other side, by where they lie here: they are constants, and copying one takes longer than finding it.
    static TEXTS: RefCell<Map<*const str, JsValue>> = RefCell::new(map());
}

fn constant(sql: &'static str) -> JsValue {
    TEXTS.with_borrow_mut(|texts| texts.entry(sql).or_insert_with(|| JsValue::from_str(sql)).clone())
}

/// The statement as `glue.js` takes it: its text, and then its values.
fn checked(statement: &Statement) -> Result<Array, SqlError> {
    statement.check()?;
    Ok(std::iter::once(constant(statement.sql)).chain(statement.args.iter().map(bound)).collect())
}

/// The rows of each statement: a line each, and a record separator between two statements. JSON holds neither.
async fn rows(promise: Result<Promise, JsValue>) -> Result<Vec<Vec<Row>>, SqlError> {
    let text = settled::of(&promise.map_err(failed)?).await.map_err(failed)?;
    let text = text::bytes(&text).ok_or_else(|| SqlError::Unavailable("D1 answered with no text".to_owned()))?;
    let of_one = |rows: &[u8]| rows.split(|byte| *byte == b'\n').filter(|row| !row.is_empty()).map(Row::of_json).collect();
    Ok(text.split(|byte| *byte == 0x1e).map(of_one).collect())
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
            Ok(rows(glue::query(&database, statement)).await?.pop().unwrap_or_default())
        })
        .await
    }

    async fn batch(&self, statements: Vec<Statement>) -> Result<Vec<Vec<Row>>, SqlError> {
        let database = self.database()?;
        SendFuture::new(async move {
            let statements: Array = statements.iter().map(checked).collect::<Result<_, _>>()?;
            rows(glue::batch(&database, statements)).await
        })
        .await
    }

    const MIGRATES: bool = false;

    async fn migrate(&self, _: &'static str, _: Vec<String>) -> Result<bool, SqlError> {
        Err(SqlError::Unavailable("on Workers, migrations are applied by `wrangler d1 migrations apply`".to_owned()))
    }
}
