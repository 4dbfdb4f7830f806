//! `Kv`: Workers KV, binding `KV`.

use std::cell::RefCell;
use tmcp_ports::{Kv, KvError};
use worker::send::SendFuture;
use worker::{Env, KvStore};

thread_local! {
    /// Looked up once in the life of an isolate, as the other bindings are.
    static STORE: RefCell<Option<KvStore>> = const { RefCell::new(None) };
}

/// Workers KV.
pub struct WorkersKv(Env);

fn failed(error: impl std::fmt::Display) -> KvError {
    KvError(error.to_string())
}

impl WorkersKv {
    pub(crate) fn new(env: &Env) -> Self {
        Self(env.clone())
    }

    fn store(&self) -> Result<KvStore, KvError> {
        if let Some(store) = STORE.with_borrow(Clone::clone) {
            return Ok(store);
        }
        let store = self.0.kv("KV").map_err(failed)?;
        STORE.set(Some(store.clone()));
        Ok(store)
    }
}

impl Kv for WorkersKv {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, KvError> {
        let store = self.store()?;
        SendFuture::new(async move { store.get(key).bytes().await }).await.map_err(failed)
    }

    async fn put(&self, key: &str, bytes: Vec<u8>) -> Result<(), KvError> {
        let put = self.store()?.put_bytes(key, &bytes).map_err(failed)?;
        SendFuture::new(put.execute()).await.map_err(failed)
    }

    async fn delete(&self, key: &str) -> Result<(), KvError> {
        let store = self.store()?;
        SendFuture::new(async move { store.delete(key).await }).await.map_err(failed)
    }
}
