//! The entry on Spin, and its calls.
#![allow(unsafe_code, reason = "the entry macro expands to the component's exports")]

use crate::flow::{self, Asked, Calls, Fault};
use serde_json::{Map, Value};
use spin_sdk::http::{IntoResponse, Request, Response};
use spin_sdk::http_component;
use spin_sdk::key_value::Store;
use spin_sdk::sqlite3::{self, Connection};
use spin_sdk::variables;
use std::cell::{OnceCell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use tmcp_aes256gcm::PureAead;
use tmcp_ports::{Aead, RandomAhead, SqlError, rows};
use tmcp_protocol::jwk::KeySet;

/// The entity's row, read and written under its version.
const LOAD: &str = "SELECT version, state, due_at FROM entities WHERE kind = ?1 AND id = ?2";
const ADD: &str = "INSERT INTO entities (kind, id, version, state, due_at) VALUES (?1, ?2, ?3, ?4, ?5) \
    ON CONFLICT (kind, id) DO NOTHING RETURNING version";
const SAVE: &str = "UPDATE entities SET version = ?3, state = ?4, due_at = ?5 WHERE kind = ?1 AND id = ?2 AND version = ?6 \
    RETURNING version";
/// What is kept of a client's address that nobody asked for before.
const NEW: &str = r#"{"generation":0,"buckets":{"address":{"level":4799999940000,"at":1796033436873,"window_ms":60000}},"ended":{},"used_at":1796033436873}"#;
/// One of so many requests is counted: the product's `METRICS_SAMPLE`, as it is deployed.
const SAMPLE: u32 = 10;
/// What is counted, in one statement. The product does it when its response has left, which is as much work.
const COUNT: &str = "INSERT INTO metrics (kind, labels, count, amount) \
    SELECT j.value ->> 'kind', j.value ->> 'labels', j.value ->> 'count', j.value ->> 'amount' FROM json_each(?1) j WHERE true \
    ON CONFLICT (kind, labels) DO UPDATE SET count = count + excluded.count, amount = amount + excluded.amount";

thread_local! {
    /// Of this instance, as the product's.
    static AHEAD: RefCell<RandomAhead<96>> = const { RefCell::new(RandomAhead::new()) };
}

fn random(bytes: &mut [u8]) {
    let fetch = |bytes: &mut [u8]| bytes.copy_from_slice(&wasi::random::random::get_random_bytes(bytes.len() as u64));
    AHEAD.with_borrow_mut(|ahead| ahead.fill(bytes, fetch));
}

type Work = Pin<Box<dyn Future<Output = ()>>>;

#[derive(Clone)]
struct OnSpin(Rc<Inside>);

struct Inside {
    /// Opened when it is first needed.
    database: OnceCell<Connection>,
    later: RefCell<Vec<Work>>,
}

fn failed(error: impl std::fmt::Display) -> Fault {
    error.to_string()
}

impl OnSpin {
    fn database(&self) -> Result<&Connection, Fault> {
        if let Some(open) = self.0.database.get() {
            return Ok(open);
        }
        let open = Connection::open_default().map_err(failed)?;
        Ok(self.0.database.get_or_init(|| open))
    }

    /// One draw; whether it was stored, rather than another request's in between.
    fn draw(&self, id: &str) -> Result<bool, Fault> {
        let (kind, id) = (Value::from("subject"), Value::from(id));
        let rows = self.run(LOAD, &[kind.clone(), id.clone()])?;
        let stored = match rows.first() {
            Some(row) => {
                let version = row.get("version").and_then(Value::as_i64).unwrap_or_default();
                let [state, due] = ["state", "due_at"].map(|name| row.get(name).cloned().unwrap_or_default());
                self.run(SAVE, &[kind, id, Value::from(version + 1), state, due, Value::from(version)])?
            }
            None => self.run(ADD, &[kind, id, Value::from(1), Value::from(NEW), Value::from(i64::from(u32::MAX) * 1000)])?,
        };
        Ok(!stored.is_empty())
    }

    fn run(&self, sql: &str, args: &[Value]) -> Result<Vec<Value>, Fault> {
        let args: Vec<sqlite3::Value> = args
            .iter()
            .map(|value| match value {
                Value::String(text) => sqlite3::Value::Text(text.clone()),
                other => other.as_i64().map_or(sqlite3::Value::Null, sqlite3::Value::Integer),
            })
            .collect();
        let database = self.database()?;
        let result = rows::patiently(|| {
            database.execute(sql, &args).map_err(|error| match error {
                sqlite3::Error::Io(message) => SqlError::from_message(&message),
                other => SqlError::Unavailable(other.to_string()),
            })
        })
        .map_err(failed)?;
        let value = |value: sqlite3::Value| match value {
            sqlite3::Value::Integer(integer) => Value::from(integer),
            sqlite3::Value::Text(text) => Value::from(text),
            _ => Value::Null,
        };
        let row = |row: sqlite3::RowResult| {
            let named: Map<String, Value> = result.columns.iter().cloned().zip(row.values.into_iter().map(value)).collect();
            Value::Object(named)
        };
        Ok(result.rows.into_iter().map(row).collect())
    }
}

impl Calls for OnSpin {
    const AHEAD: usize = 0;

    async fn query(&self, sql: &'static str, args: Vec<Value>) -> Result<Vec<Value>, Fault> {
        self.run(sql, &args)
    }

    async fn batch(&self, statements: Vec<(&'static str, Vec<Value>)>) -> Result<(), Fault> {
        self.run("BEGIN IMMEDIATE", &[])?;
        for (sql, args) in &statements {
            self.run(sql, args)?;
        }
        self.run("COMMIT", &[]).map(|_| ())
    }

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Fault> {
        Store::open_default().and_then(|store| store.get(key)).map_err(failed)
    }

    async fn put(&self, key: &str, value: Vec<u8>) -> Result<(), Fault> {
        Store::open_default().and_then(|store| store.set(key, &value)).map_err(failed)
    }

    async fn delete(&self, key: &str) -> Result<(), Fault> {
        Store::open_default().and_then(|store| store.delete(key)).map_err(failed)
    }

    async fn hop(&self, id: &str) -> Result<(), Fault> {
        // A draw that lost to another request is drawn again: a limit counts every one.
        while !self.draw(id)? {}
        Ok(())
    }

    async fn verify(&self, token: &str) -> Result<bool, Fault> {
        use base64::Engine;
        let (signed, signature) = token.trim_start_matches("tep.").rsplit_once('.').ok_or("no token")?;
        let keys = KeySet::parse_public(&self.setting("JWKS")).map_err(failed)?;
        let key = keys.keys.first().ok_or("no key")?;
        let signature = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(signature).map_err(failed)?;
        tmcp_rs256::verify(key, signed.as_bytes(), &signature).map_err(failed)
    }

    async fn sign(&self, message: &str) -> Result<Vec<u8>, Fault> {
        let keys = KeySet::parse_private(&self.setting("SIGNING_KEYS")).map_err(failed)?;
        let key = keys.keys.first().ok_or("no key")?;
        tmcp_rs256::sign(key, message.as_bytes(), &random).map_err(failed)
    }

    fn aead(&self) -> &impl Aead {
        &PureAead
    }

    fn now(&self) -> i64 {
        #[allow(clippy::disallowed_methods, reason = "there is no port here")]
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or_default()
    }

    fn random(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        random(&mut bytes);
        bytes
    }

    fn setting(&self, name: &str) -> String {
        variables::get(&name.to_lowercase()).unwrap_or_default()
    }

    fn announced(&self) -> Option<String> {
        None
    }

    fn remember(&self, _: Vec<String>) {}

    fn later(&self, work: impl Future<Output = ()> + 'static) {
        self.0.later.borrow_mut().push(Box::pin(work));
    }
}

#[http_component]
async fn handle(request: Request) -> anyhow::Result<impl IntoResponse> {
    let calls = OnSpin(Rc::new(Inside { database: OnceCell::new(), later: RefCell::new(Vec::new()) }));
    let bearer = request.header("authorization").and_then(|value| value.as_str()).unwrap_or_default();
    let bearer = bearer.strip_prefix("Bearer ").unwrap_or_default();
    let body = std::str::from_utf8(request.body()).unwrap_or_default();
    let address = request.header("spin-client-addr").and_then(|value| value.as_str()).unwrap_or_default();
    let address = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let asked = Asked { method: &request.method().to_string(), path: request.path(), bearer, address, body };
    let (status, body) = flow::answer(&calls, &asked).await.map_err(anyhow::Error::msg)?;
    let [a, b, c, d, ..] = calls.random();
    if u32::from_le_bytes([a, b, c, d]) % SAMPLE == 0 {
        let counted = serde_json::json!([{"kind": "request", "labels": "[\"floor\"]", "count": 10, "amount": 10}]).to_string();
        calls.query(COUNT, vec![Value::from(counted)]).await.map_err(anyhow::Error::msg)?;
    }
    let later = std::mem::take(&mut *calls.0.later.borrow_mut());
    for work in later {
        work.await;
    }
    let mut response = Response::builder();
    response.status(status).body(body);
    for (name, value) in flow::headers(status) {
        response.header(name, value);
    }
    Ok(response.build())
}
