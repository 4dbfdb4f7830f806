//! `Kv` in memory.

use crate::support::{Faults, lock};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tmcp_ports::{Kv, KvError};

/// A map.
#[derive(Clone, Default)]
pub struct MapKv {
    pub(crate) map: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    pub(crate) faults: Faults,
}

impl Kv for MapKv {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, KvError> {
        self.faults.step().await;
        Ok(lock(&self.map).get(key).cloned())
    }

    async fn put(&self, key: &str, bytes: Vec<u8>) -> Result<(), KvError> {
        self.faults.step().await;
        if bytes.len() > tmcp_ports::kv::MAX_BYTES {
            return Err(KvError(format!("{} bytes are too many", bytes.len())));
        }
        lock(&self.map).insert(key.to_owned(), bytes);
        self.faults.step().await;
        Ok(())
    }

    async fn remove(&self, keys: Vec<String>) -> Result<(), KvError> {
        for key in keys {
            self.faults.step().await;
            lock(&self.map).remove(&key);
            self.faults.step().await;
        }
        Ok(())
    }
}
