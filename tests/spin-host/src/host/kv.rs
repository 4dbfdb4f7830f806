//! `fermyon:spin/key-value`: one SQLite file per store, one connection per file, shared by all requests, as Spin does it.
//!
//! Values may be of any size: Spin's documents speak of 1 MB, but its SQLite store takes larger ones. A component may open
//! the stores that its manifest lists and gets `access-denied` for any other; every listed store exists, so `no-such-store`
//! never happens.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, OptionalExtension, params};
use tokio::task::spawn_blocking;
use wasmtime::Result;
use wasmtime::component::Resource;

use super::State;
use super::bindings::fermyon::spin::key_value::{Error, Host, HostStore};
use crate::counts::{self, Count};

/// A store, by its connection.
#[derive(Clone)]
pub struct Store(Arc<Mutex<Connection>>);

impl Store {
    /// Opens the store with this label in the state folder and makes its table if need be.
    pub fn open(folder: &Path, label: &str) -> rusqlite::Result<Self> {
        let file = if label == "default" { "key_value.db".to_owned() } else { format!("key_value_{label}.db") };
        let connection = Connection::open(folder.join(file))?;
        // Outlasts a killed process, if not a power cut, and spares a test run an fsync per write.
        connection.execute_batch(
            "PRAGMA journal_mode = WAL;
             PRAGMA synchronous = NORMAL;
             CREATE TABLE IF NOT EXISTS entry (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID, STRICT;",
        )?;
        Ok(Self(Arc::new(Mutex::new(connection))))
    }

    /// Runs `query` where it may block.
    async fn run<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<Result<T, Error>> {
        let store = self.clone();
        let done = spawn_blocking(move || query(&store.0.lock().unwrap_or_else(PoisonError::into_inner))).await?;
        Ok(done.map_err(|error| Error::Other(error.to_string())))
    }
}

impl Host for State {}

impl HostStore for State {
    async fn open(&mut self, label: String) -> Result<Result<Resource<Store>, Error>> {
        match self.component.key_value_stores.get(&label) {
            Some(store) => Ok(Ok(self.table.push(store.clone())?)),
            None => Ok(Err(Error::AccessDenied)),
        }
    }

    async fn get(&mut self, store: Resource<Store>, key: String) -> Result<Result<Option<Vec<u8>>, Error>> {
        counts::one(Count::KvReads);
        let query = "SELECT value FROM entry WHERE key = ?1";
        let store = self.table.get(&store)?;
        store.run(move |db| db.prepare_cached(query)?.query_row([key], |row| row.get(0)).optional()).await
    }

    async fn set(&mut self, store: Resource<Store>, key: String, value: Vec<u8>) -> Result<Result<(), Error>> {
        counts::one(Count::KvWrites);
        let query = "INSERT INTO entry VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value";
        let store = self.table.get(&store)?;
        store.run(move |db| db.prepare_cached(query)?.execute(params![key, value]).map(drop)).await
    }

    async fn delete(&mut self, store: Resource<Store>, key: String) -> Result<Result<(), Error>> {
        counts::one(Count::KvDeletes);
        let query = "DELETE FROM entry WHERE key = ?1";
        let store = self.table.get(&store)?;
        store.run(move |db| db.prepare_cached(query)?.execute([key]).map(drop)).await
    }

    async fn exists(&mut self, store: Resource<Store>, key: String) -> Result<Result<bool, Error>> {
        counts::one(Count::KvReads);
        let query = "SELECT 1 FROM entry WHERE key = ?1";
        let store = self.table.get(&store)?;
        store.run(move |db| db.prepare_cached(query)?.exists([key])).await
    }

    async fn get_keys(&mut self, store: Resource<Store>) -> Result<Result<Vec<String>, Error>> {
        let query = "SELECT key FROM entry";
        let store = self.table.get(&store)?;
        store.run(move |db| db.prepare_cached(query)?.query_map([], |row| row.get(0))?.collect()).await
    }

    async fn drop(&mut self, store: Resource<Store>) -> Result<()> {
        self.table.delete(store)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_store_keeps_what_was_written() {
        let folder = std::env::temp_dir().join(format!("spin-host-kv-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let large = vec![7u8; 3 << 20];
        let written = large.clone();
        let store = Store::open(&folder, "default").unwrap();
        let write = move |db: &Connection| db.execute("INSERT INTO entry VALUES ('k', ?1)", params![written]).map(drop);
        assert!(store.run(write).await.unwrap().is_ok());
        drop(store);

        let store = Store::open(&folder, "default").unwrap();
        let read = |db: &Connection| db.query_row("SELECT value FROM entry WHERE key = 'k'", [], |row| row.get(0));
        let value: Vec<u8> = store.run(read).await.unwrap().unwrap_or_default();
        assert_eq!(value, large);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
