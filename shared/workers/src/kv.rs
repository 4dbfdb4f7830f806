//! `Kv`: Workers KV, binding `KV`.

use tmcp_ports::{Kv, KvError};
use worker::send::SendFuture;
use worker::{Env, KvStore};

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
        self.0.kv("KV").map_err(failed)
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
