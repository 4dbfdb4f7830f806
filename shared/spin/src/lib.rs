//! The ports on Spin (SDK 5.2, WASI 0.2): SQLite, key-value, variables, outbound HTTP. Empty on every other target.
//!
//! Every request has a fresh instance and host calls block, so nothing here ever waits for another request of the same instance.
#![cfg(target_os = "wasi")]

mod clock;
mod config;
mod entity;
mod http;
mod kv;
mod log;
mod memo;
mod random;
mod services;
mod signer;
mod sql;
mod tasks;

pub use entity::SpinEntities;
pub use http::serve;

use std::sync::{Arc, Weak};
use tmcp_aes256gcm::PureAead;
use tmcp_arena::Arena;
use tmcp_ports::Platform;

/// As much as most requests take in small pieces; it is cleared with the rest of an instance's memory (docs/adr/0026).
#[global_allocator]
#[allow(unsafe_code, reason = "a component has one thread, which `Arena` asks for")]
static MEMORY: Arena<{ 32 << 10 }> = unsafe { Arena::new() };

/// Instead of the standard library's, which would take from [`MEMORY`] what wasi-libc frees by itself, such as the environment's variables.
///
/// # Safety
/// The host's to keep (Canonical ABI).
#[allow(unsafe_code, reason = "the Canonical ABI has raw pointers")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cabi_realloc(old: *mut u8, old_len: usize, align: usize, len: usize) -> *mut u8 {
    // SAFETY: the same promises.
    unsafe { tmcp_arena::realloc_for_host(old, old_len, align, len) }
}

/// Everything of one request.
#[derive(Clone)]
pub struct SpinPlatform(Arc<Inner>);

struct Inner {
    sql: sql::SqliteSql,
    kv: kv::SpinKv,
    entities: SpinEntities,
    http: http::WasiClient,
    signer: signer::PureSigner,
    aead: PureAead,
    services: services::ChainedServices,
    clock: clock::WasiClock,
    random: random::WasiRandom,
    config: config::Variables,
    memo: memo::NoMemo,
    tasks: tasks::AfterResponse,
    log: log::Stdout,
}

impl SpinPlatform {
    /// The platform of a request.
    pub fn new() -> Self {
        Self(Arc::new_cyclic(|inner: &Weak<Inner>| Inner {
            sql: sql::SqliteSql::default(),
            kv: kv::SpinKv,
            entities: SpinEntities::new(inner.clone()),
            http: http::WasiClient,
            signer: signer::PureSigner,
            aead: PureAead,
            services: services::ChainedServices,
            clock: clock::WasiClock,
            random: random::WasiRandom,
            config: config::Variables,
            memo: memo::NoMemo,
            tasks: tasks::AfterResponse::default(),
            log: log::Stdout,
        }))
    }
}

impl Default for SpinPlatform {
    fn default() -> Self {
        Self::new()
    }
}

impl Platform for SpinPlatform {
    type Sql = sql::SqliteSql;
    type Kv = kv::SpinKv;
    type Entities = SpinEntities;
    type Http = http::WasiClient;
    type Signer = signer::PureSigner;
    type Aead = PureAead;
    type Services = services::ChainedServices;
    type Clock = clock::WasiClock;
    type Random = random::WasiRandom;
    type Config = config::Variables;
    type Memo = memo::NoMemo;
    type Tasks = tasks::AfterResponse;
    type Log = log::Stdout;

    fn sql(&self) -> &sql::SqliteSql {
        &self.0.sql
    }
    fn kv(&self) -> &kv::SpinKv {
        &self.0.kv
    }
    fn entities(&self) -> &SpinEntities {
        &self.0.entities
    }
    fn http(&self) -> &http::WasiClient {
        &self.0.http
    }
    fn signer(&self) -> &signer::PureSigner {
        &self.0.signer
    }
    fn aead(&self) -> &PureAead {
        &self.0.aead
    }
    fn services(&self) -> &services::ChainedServices {
        &self.0.services
    }
    fn clock(&self) -> &clock::WasiClock {
        &self.0.clock
    }
    fn random(&self) -> &random::WasiRandom {
        &self.0.random
    }
    fn config(&self) -> &config::Variables {
        &self.0.config
    }
    fn memo(&self) -> &memo::NoMemo {
        &self.0.memo
    }
    fn tasks(&self) -> &tasks::AfterResponse {
        &self.0.tasks
    }
    fn log(&self) -> &log::Stdout {
        &self.0.log
    }
}
