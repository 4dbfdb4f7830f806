//! The platform that a host test runs on.

use crate::http::{InProcess, Recorded};
use crate::keys::PureSigner;
use crate::kv::MapKv;
use crate::sql::{TestEntities, TestSql};
use crate::support::{Faults, FixedClock, KeptLog, MapConfig, MapMemo, QueuedTasks, SeededRandom, lock};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tmcp_aes256gcm::PureAead;
use tmcp_ports::Platform;

/// Where every test's clock stands at first: 2026-11-22T00:00:00Z.
const START: i64 = 1_795_305_600_000;

/// All adapters of one test.
pub struct TestWorld {
    sql: TestSql,
    kv: MapKv,
    entities: TestEntities,
    http: Recorded,
    signer: PureSigner,
    aead: PureAead,
    services: InProcess,
    clock: FixedClock,
    random: SeededRandom,
    config: MapConfig,
    memo: MapMemo,
    tasks: QueuedTasks,
    log: KeptLog,
    faults: Faults,
}

/// A handle on a [`TestWorld`].
#[derive(Clone)]
pub struct TestPlatform(pub(crate) Arc<TestWorld>);

impl TestPlatform {
    /// A fresh world: migrated database, empty stores, keys, and configuration for every function.
    ///
    /// # Panics
    /// When the migrations do not apply.
    #[allow(clippy::expect_used)]
    pub fn new() -> Self {
        let faults = Faults::default();
        let sql = TestSql::new(faults.clone()).expect("migrations");
        let platform = Self(Arc::new_cyclic(|world| TestWorld {
            sql,
            kv: MapKv { faults: faults.clone(), ..MapKv::default() },
            entities: TestEntities(world.clone()),
            http: Recorded::default(),
            signer: PureSigner,
            aead: PureAead,
            services: InProcess::default(),
            clock: FixedClock::default(),
            random: SeededRandom::default(),
            config: MapConfig::default(),
            memo: MapMemo::default(),
            tasks: QueuedTasks::default(),
            log: KeptLog::default(),
            faults,
        }));
        platform.set_now(START);
        platform.set("ISSUER", "https://tmcp.example");
        platform.set("SERVICE_KEY", "c2VydmljZS1rZXktb2YtdGhpcnR5LXR3by1ieXRlcyE=");
        platform.set("JWKS", &crate::public_ring());
        platform.set("SIGNING_KEYS", crate::private_ring());
        platform.set("ADMIN_TOKEN", "admin-secret-admin-secret-admin-");
        platform.set("OPERATOR_TOKEN", "operator-secret-operator-secret-");
        platform.set("AUDIT_KEY", "YXVkaXQta2V5LW9mLXRoaXJ0eS1hbmQtdHdvLWJ5dGU=");
        platform.set("STORAGE_KEYS", r#"{"current":"k1","keys":{"k1":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}}"#);
        platform
    }

    /// Sets a configuration value.
    pub fn set(&self, name: &str, value: &str) {
        lock(&self.0.config.0).insert(name.to_owned(), value.to_owned());
    }

    /// From now on the memory remembers, as on Workers.
    pub fn remember(&self) {
        self.0.memo.on.store(true, std::sync::atomic::Ordering::Relaxed);
    }

    /// Puts the clock to `ms` since 1970.
    pub fn set_now(&self, ms: i64) {
        self.0.clock.0.store(ms, Ordering::SeqCst);
    }

    /// Lets `ms` pass.
    pub fn advance(&self, ms: i64) {
        self.0.clock.0.fetch_add(ms, Ordering::SeqCst);
    }

    /// Deaths at a chosen step.
    pub fn faults(&self) -> &Faults {
        &self.0.faults
    }

    /// Outbound answers.
    pub fn recorded(&self) -> &Recorded {
        &self.0.http
    }

    /// Functions in process.
    pub fn in_process(&self) -> &InProcess {
        &self.0.services
    }

    /// The keys in the key-value store.
    pub fn kv_keys(&self) -> Vec<String> {
        lock(&self.0.kv.map).keys().cloned().collect()
    }

    /// Overwrites bytes in the key-value store, as an attacker with access to it would.
    pub fn kv_overwrite(&self, key: &str, bytes: Vec<u8>) {
        lock(&self.0.kv.map).insert(key.to_owned(), bytes);
    }

    /// Bytes in the key-value store.
    pub fn kv_bytes(&self, key: &str) -> Option<Vec<u8>> {
        lock(&self.0.kv.map).get(key).cloned()
    }

    /// The log lines so far.
    pub fn log_lines(&self) -> Vec<String> {
        lock(&self.0.log.0).clone()
    }

    /// Runs what responses left behind, until nothing is left.
    pub async fn run_tasks(&self) {
        loop {
            let work = std::mem::take(&mut *lock(&self.0.tasks.0));
            if work.is_empty() {
                return;
            }
            for task in work {
                task.await;
            }
        }
    }

    /// For those who make many platforms.
    #[must_use]
    pub fn until_dropped(&self) -> Lease {
        Lease(self.clone())
    }

    /// Loses what responses left behind, as a killed process does.
    pub fn lose_tasks(&self) {
        // Outside the lock: what is dropped may hold the last of the platform.
        let tasks = std::mem::take(&mut *lock(&self.0.tasks.0));
        drop(tasks);
    }
}

/// Ends a platform when it is dropped. What the platform holds, functions that are connected and work that was left behind, holds the
/// platform in turn, so that without this neither is ever freed.
pub struct Lease(TestPlatform);

impl Drop for Lease {
    fn drop(&mut self) {
        self.0.lose_tasks();
        let functions = std::mem::take(&mut *lock(&self.0.in_process().0));
        drop(functions);
    }
}

impl Default for TestPlatform {
    fn default() -> Self {
        Self::new()
    }
}

impl Platform for TestPlatform {
    type Sql = TestSql;
    type Kv = MapKv;
    type Entities = TestEntities;
    type Http = Recorded;
    type Signer = PureSigner;
    type Aead = PureAead;
    type Services = InProcess;
    type Clock = FixedClock;
    type Random = SeededRandom;
    type Config = MapConfig;
    type Memo = MapMemo;
    type Tasks = QueuedTasks;
    type Log = KeptLog;

    fn sql(&self) -> &TestSql {
        &self.0.sql
    }
    fn kv(&self) -> &MapKv {
        &self.0.kv
    }
    fn entities(&self) -> &TestEntities {
        &self.0.entities
    }
    fn http(&self) -> &Recorded {
        &self.0.http
    }
    fn signer(&self) -> &PureSigner {
        &self.0.signer
    }
    fn aead(&self) -> &PureAead {
        &self.0.aead
    }
    fn services(&self) -> &InProcess {
        &self.0.services
    }
    fn clock(&self) -> &FixedClock {
        &self.0.clock
    }
    fn random(&self) -> &SeededRandom {
        &self.0.random
    }
    fn config(&self) -> &MapConfig {
        &self.0.config
    }
    fn memo(&self) -> &MapMemo {
        &self.0.memo
    }
    fn tasks(&self) -> &QueuedTasks {
        &self.0.tasks
    }
    fn log(&self) -> &KeptLog {
        &self.0.log
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tmcp_ports::Tasks;
    use tmcp_protocol::routes::Function;

    #[test]
    fn a_leased_platform_is_freed() {
        let platform = TestPlatform::new();
        let (lease, world) = (platform.until_dropped(), Arc::downgrade(&platform.0));
        let (left, connected) = (platform.clone(), platform.clone());
        platform.tasks().after(async move { drop(left) });
        platform.in_process().connect(Function::Auth, move |_| {
            let _ = &connected;
            async { http::Response::new(bytes::Bytes::new()) }
        });
        drop(platform);
        assert!(world.upgrade().is_some(), "it holds itself");
        drop(lease);
        assert!(world.upgrade().is_none(), "nobody holds it any more");
    }
}
