//! `Kv`: Workers KV, binding `KV`.

use crate::bindings::binding;
use crate::glue;
use tmcp_ports::{Kv, KvError};
use worker::Env;
use worker::js_sys::Uint8Array;
use worker::send::SendFuture;
use worker::wasm_bindgen::{JsCast, JsValue};

/// Workers KV.
pub struct WorkersKv(Env);

fn failed(error: JsValue) -> KvError {
    KvError(worker::Error::from(error).to_string())
}

impl WorkersKv {
    pub(crate) fn new(env: &Env) -> Self {
        Self(env.clone())
    }

    fn namespace(&self) -> Result<JsValue, KvError> {
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
        let namespace = self.namespace()?;
        let value = Uint8Array::from(bytes.as_slice());
        SendFuture::new(async move { glue::write(&namespace, key, value).await.map_err(failed) }).await
    }

    async fn remove(&self, keys: Vec<String>) -> Result<(), KvError> {
        let namespace = self.namespace()?;
        SendFuture::new(async move { glue::remove(&namespace, keys).await.map_err(failed) }).await
    }
}
