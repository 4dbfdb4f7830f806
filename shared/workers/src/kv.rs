//! `Kv`: Workers KV, binding `KV`.

use crate::bindings::binding;
use crate::glue;
use tmcp_ports::{Kv, KvError};
use worker::Env;
use worker::js_sys::{Promise, Uint8Array};
use worker::send::SendFuture;
use worker::wasm_bindgen::prelude::*;
use worker::wasm_bindgen_futures::JsFuture;

#[wasm_bindgen(wasm_bindgen = worker::wasm_bindgen, js_sys = worker::js_sys)]
extern "C" {
    /// A namespace of Workers KV.
    type KvNamespace;

    #[wasm_bindgen(method, catch)]
    fn put(this: &KvNamespace, key: &str, value: Uint8Array) -> Result<Promise, JsValue>;

    #[wasm_bindgen(method, catch)]
    fn delete(this: &KvNamespace, key: &str) -> Result<Promise, JsValue>;
}

/// Workers KV.
pub struct WorkersKv(Env);

fn failed(error: JsValue) -> KvError {
    KvError(worker::Error::from(error).to_string())
}

impl WorkersKv {
    pub(crate) fn new(env: &Env) -> Self {
        Self(env.clone())
    }

    fn namespace(&self) -> Result<KvNamespace, KvError> {
        binding(&self.0, "KV").map_err(KvError)
    }
}

impl Kv for WorkersKv {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, KvError> {
        let namespace = self.namespace()?;
        SendFuture::new(async move {
            let value = glue::read(&namespace, key).await.map_err(failed)?;
            Ok((!value.is_undefined()).then(|| value.unchecked_into::<Uint8Array>().to_vec()))
        })
        .await
    }

    async fn put(&self, key: &str, bytes: Vec<u8>) -> Result<(), KvError> {
        let promise = self.namespace()?.put(key, Uint8Array::from(bytes.as_slice())).map_err(failed)?;
        SendFuture::new(JsFuture::from(promise)).await.map(|_| ()).map_err(failed)
    }

    async fn delete(&self, key: &str) -> Result<(), KvError> {
        let promise = self.namespace()?.delete(key).map_err(failed)?;
        SendFuture::new(JsFuture::from(promise)).await.map(|_| ()).map_err(failed)
    }
}
