//! `Kv`: Workers KV, binding `KV`.

use crate::bindings::binding;
use crate::{glue, settled};
use tmcp_ports::{Kv, KvError};
use worker::Env;
use worker::js_sys::{Promise, Uint8Array};
use worker::send::SendFuture;
use worker::wasm_bindgen::{JsCast, JsValue};

/// Workers KV.
pub struct WorkersKv(Env);

fn failed(error: JsValue) -> KvError {
    KvError(worker::Error::from(error).to_string())
}

async fn promised(promise: Result<Promise, JsValue>) -> Result<JsValue, KvError> {
    settled::of(&promise.map_err(failed)?).await.map_err(failed)
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
            let value = promised(glue::read(&namespace, key)).await?;
            Ok((!value.is_undefined()).then(|| value.unchecked_into::<Uint8Array>().to_vec()))
        })
        .await
    }

    async fn put(&self, key: &str, bytes: Vec<u8>) -> Result<(), KvError> {
        let namespace = self.namespace()?;
        let value = Uint8Array::from(bytes.as_slice());
        SendFuture::new(async move { promised(glue::write(&namespace, key, value)).await.map(|_| ()) }).await
    }

    async fn remove(&self, keys: Vec<String>) -> Result<(), KvError> {
        let namespace = self.namespace()?;
        SendFuture::new(async move { promised(glue::remove(&namespace, keys)).await.map(|_| ()) }).await
    }
}
