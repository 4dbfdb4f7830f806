//! `Kv`: Spin's key-value store `default`. It has no expiry and no listing by prefix; we need neither.

use spin_sdk::key_value::Store;
use tmcp_ports::{Kv, KvError};

/// The component's store.
pub struct SpinKv;

fn failed(error: impl std::fmt::Display) -> KvError {
    KvError(error.to_string())
}

impl Kv for SpinKv {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, KvError> {
        Store::open_default().and_then(|store| store.get(key)).map_err(failed)
    }

    async fn put(&self, key: &str, bytes: Vec<u8>) -> Result<(), KvError> {
        Store::open_default().and_then(|store| store.set(key, &bytes)).map_err(failed)
    }

    async fn remove(&self, keys: Vec<String>) -> Result<(), KvError> {
        let store = Store::open_default().map_err(failed)?;
        keys.iter().try_for_each(|key| store.delete(key)).map_err(failed)
    }
}
