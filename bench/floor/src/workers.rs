//! The entry on Cloudflare Workers, and its calls.

use crate::flow::{self, Asked, Calls, Fault};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashSet};
use std::rc::Rc;
use std::time::Duration;
use tmcp_ports::{Aead, Platform, Signer};
use tmcp_protocol::jwk::KeySet;
use tmcp_protocol::routes::path_of;
use tmcp_workers::WorkersPlatform;
use worker::js_sys::JSON;
use worker::wasm_bindgen::JsValue;
use worker::wasm_bindgen::prelude::wasm_bindgen;
use worker::wasm_bindgen_futures::JsFuture;
use worker::{
    Context, D1PreparedStatement, Date, Delay, Env, SqlStorageValue, State, event, wasm_bindgen, wasm_bindgen_futures, web_sys,
    worker_sys,
};

thread_local! {
    /// Tokens whose signature held.
    static VERIFIED: RefCell<HashSet<String>> = RefCell::new(HashSet::new());
    /// Blob ids that were announced.
    static ANNOUNCED: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

#[wasm_bindgen(wasm_bindgen = wasm_bindgen, js_sys = worker::js_sys, wasm_bindgen_futures = wasm_bindgen_futures)]
extern "C" {
    /// An entity's object, called by RPC.
    type Entity;

    #[wasm_bindgen(method, catch)]
    async fn ask(this: &Entity, question: &str) -> Result<JsValue, JsValue>;
}

#[derive(Clone)]
struct OnWorkers(Rc<Inside>);

struct Inside {
    env: Env,
    context: Context,
    /// WebCrypto, which is called through the product's own adapters: a signature is a signature.
    platform: WorkersPlatform,
}

fn failed(error: impl std::fmt::Display) -> Fault {
    error.to_string()
}

fn prepared(env: &Env, sql: &str, args: &[Value]) -> Result<D1PreparedStatement, Fault> {
    let args: Vec<JsValue> = args
        .iter()
        .map(|value| match value {
            Value::String(text) => JsValue::from_str(text),
            other => other.as_f64().map_or(JsValue::NULL, JsValue::from_f64),
        })
        .collect();
    env.d1("DB").and_then(|database| database.prepare(sql).bind(&args)).map_err(failed)
}

impl Calls for OnWorkers {
    const AHEAD: usize = 49;

    async fn query(&self, sql: &'static str, args: Vec<Value>) -> Result<Vec<Value>, Fault> {
        let result = prepared(&self.0.env, sql, &args)?.all().await.map_err(failed)?;
        result.results().map_err(failed)
    }

    async fn batch(&self, statements: Vec<(&'static str, Vec<Value>)>) -> Result<(), Fault> {
        let prepared: Result<Vec<_>, _> = statements.iter().map(|(sql, args)| prepared(&self.0.env, sql, args)).collect();
        self.0.env.d1("DB").map_err(failed)?.batch(prepared?).await.map_err(failed).map(|_| ())
    }

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Fault> {
        self.0.env.kv("KV").map_err(failed)?.get(key).bytes().await.map_err(failed)
    }

    async fn put(&self, key: &str, value: Vec<u8>) -> Result<(), Fault> {
        let put = self.0.env.kv("KV").map_err(failed)?.put_bytes(key, &value).map_err(failed)?;
        put.execute().await.map_err(failed)
    }

    async fn delete(&self, key: &str) -> Result<(), Fault> {
        self.0.env.kv("KV").map_err(failed)?.delete(key).await.map_err(failed)
    }

    async fn hop(&self, id: &str) -> Result<(), Fault> {
        let stub = self.0.env.durable_object("FLOOR").and_then(|namespace| namespace.get_by_name(id)).map_err(failed)?;
        let command = format!(
            r#"{{"id":"{id}","command":{{"admit":{{"class":"storage","limit":{{"capacity":100000,"burst":20000,"window_s":60,"refill":1666}},"held":{{"generation":0,"session":"session_01J00000000000000000000000"}}}}}}}}"#
        );
        stub.into_rpc::<Entity>().ask(&command).await.map_err(|error| format!("{error:?}")).map(|_| ())
    }

    async fn verify(&self, token: &str) -> Result<bool, Fault> {
        if VERIFIED.with_borrow(|verified| verified.contains(token)) {
            return Ok(true);
        }
        let (signed, signature) = token.trim_start_matches("tep.").rsplit_once('.').ok_or("no token")?;
        let keys = KeySet::parse_public(&self.setting("JWKS")).map_err(failed)?;
        let key = keys.keys.first().ok_or("no key")?;
        let signature = decoded(signature)?;
        let holds = self.0.platform.signer().verify(key, signed.as_bytes(), &signature).await.map_err(failed)?;
        if holds {
            VERIFIED.with_borrow_mut(|verified| verified.insert(token.to_owned()));
        }
        Ok(holds)
    }

    async fn sign(&self, message: &str) -> Result<Vec<u8>, Fault> {
        let keys = KeySet::parse_private(&self.setting("SIGNING_KEYS")).map_err(failed)?;
        let key = keys.keys.first().ok_or("no key")?;
        self.0.platform.signer().sign(key, message.as_bytes()).await.map_err(failed)
    }

    fn aead(&self) -> &impl Aead {
        self.0.platform.aead()
    }

    fn now(&self) -> i64 {
        i64::try_from(Date::now().as_millis()).unwrap_or_default()
    }

    fn random(&self) -> [u8; 16] {
        use tmcp_ports::Random;
        self.0.platform.random().bytes()
    }

    fn setting(&self, name: &str) -> String {
        self.0.env.var(name).map(|value| value.to_string()).unwrap_or_default()
    }

    fn announced(&self) -> Option<String> {
        ANNOUNCED.with_borrow_mut(Vec::pop)
    }

    fn remember(&self, ids: Vec<String>) {
        ANNOUNCED.with_borrow_mut(|all| all.extend(ids));
    }

    fn later(&self, work: impl Future<Output = ()> + 'static) {
        self.0.context.wait_until(work);
    }
}

fn decoded(text: &str) -> Result<Vec<u8>, Fault> {
    URL_SAFE_NO_PAD.decode(text).map_err(failed)
}

#[event(fetch)]
async fn fetch(request: web_sys::Request, env: Env, context: Context) -> worker::Result<web_sys::Response> {
    let bearer = request.headers().get("authorization")?.unwrap_or_default();
    let address = request.headers().get("cf-connecting-ip")?.unwrap_or_default();
    let (method, url) = (request.method(), request.url());
    let body = if method == "GET" { JsValue::NULL } else { JsFuture::from(request.text()?).await? };
    let body = body.as_string().unwrap_or_default();
    let platform = WorkersPlatform::of_schedule(&env);
    let calls = OnWorkers(Rc::new(Inside { env, context, platform }));
    let bearer = bearer.strip_prefix("Bearer ").unwrap_or_default();
    let asked = Asked { method: &method, path: path_of(&url), bearer, address: &address, body: &body };
    let (status, body) = flow::answer(&calls, &asked).await.map_err(worker::Error::RustError)?;
    let init = web_sys::ResponseInit::new();
    init.set_status(status);
    // As an object: pairs would take workerd three times as long.
    let headers: BTreeMap<_, _> = flow::headers(status).into_iter().collect();
    init.set_headers(&JSON::parse(&serde_json::to_string(&headers)?)?);
    Ok(web_sys::Response::new_with_opt_str_and_init(Some(&body), &init)?)
}

/// An entity that keeps its state in memory and stores it once a second, as the product's subject does. `entry.js` makes the class.
#[wasm_bindgen(wasm_bindgen = wasm_bindgen)]
pub struct FloorEntity(Rc<Kept>);

struct Kept {
    state: State,
    seen: Cell<u64>,
    late: Cell<bool>,
}

#[wasm_bindgen(wasm_bindgen = wasm_bindgen)]
impl FloorEntity {
    #[wasm_bindgen(constructor)]
    pub fn new(state: worker_sys::DurableObjectState, _: Env) -> Self {
        Self(Rc::new(Kept { state: state.into(), seen: Cell::new(0), late: Cell::new(false) }))
    }

    pub fn ask(&self, question: &str) -> String {
        let kept = self.0.clone();
        kept.seen.set(kept.seen.get() + u64::from(!question.is_empty()));
        if !kept.late.replace(true) {
            self.0.state.wait_until(async move {
                Delay::from(Duration::from_secs(1)).await;
                kept.late.set(false);
                let sql = kept.state.storage().sql();
                let _ = sql.exec("CREATE TABLE IF NOT EXISTS entity (k INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT", None);
                let body = format!("{{\"seen\":{},\"pad\":\"{}\"}}", kept.seen.get(), "x".repeat(300));
                let save = "INSERT INTO entity (k, body) VALUES (1, ?) ON CONFLICT (k) DO UPDATE SET body = excluded.body";
                let _ = sql.exec(save, vec![SqlStorageValue::String(body)]);
            });
        }
        r#"{"admission":{"allowed":true,"limit":100000,"remaining":99999,"burst":20000,"burst_remaining":19999,"reset_after":60,"retry_after":0}}"#.to_owned()
    }
}
