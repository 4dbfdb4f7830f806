//! The ports on Cloudflare Workers: D1, KV, Durable Objects, service bindings, WebCrypto. Empty on every other target.
//!
//! Futures that hold JavaScript values are wrapped in `SendFuture`: an isolate has one thread.
#![cfg(target_os = "unknown")]

mod aead;
mod bindings;
mod clock;
mod config;
mod entity;
mod glue;
mod http;
mod kv;
mod log;
mod map;
mod memo;
mod microtasks;
mod random;
mod response;
mod services;
pub mod settled;
mod signer;
mod sql;
mod tasks;
mod text;

pub use entity::{EntityHost, WorkersEntities};
pub use http::{serve, serve_stream};

use std::cell::OnceCell;
use std::sync::Arc;
use tmcp_ports::Platform;
use worker::Env;

/// Everything of one request.
#[derive(Clone)]
pub struct WorkersPlatform(Arc<Inner>);

struct Inner {
    outside: &'static Outside,
    tasks: tasks::WaitUntil,
}

/// What all requests of an isolate have in common: `env` is the same for all of them.
struct Outside {
    sql: sql::D1Sql,
    kv: kv::WorkersKv,
    entities: WorkersEntities,
    http: http::FetchClient,
    signer: signer::WebCryptoSigner,
    aead: aead::WebAead,
    services: services::BoundServices,
    clock: clock::DateClock,
    random: random::WebRandom,
    config: config::EnvConfig,
    memo: memo::IsolateMemo,
    log: log::Console,
}

impl Outside {
    fn new(env: &Env) -> Self {
        Self {
            sql: sql::D1Sql::new(env),
            kv: kv::WorkersKv::new(env),
            entities: WorkersEntities::new(env),
            http: http::FetchClient::new(env),
            signer: signer::WebCryptoSigner,
            aead: aead::WebAead,
            services: services::BoundServices::new(env),
            clock: clock::DateClock,
            random: random::WebRandom,
            config: config::EnvConfig::new(env),
            memo: memo::IsolateMemo,
            log: log::Console,
        }
    }
}

thread_local! {
    static OUTSIDE: OnceCell<&'static Outside> = const { OnceCell::new() };
}

impl WorkersPlatform {
    /// The platform of a `fetch` event.
    pub fn of_event(env: &Env, context: worker::Context) -> Self {
        Self::new(env, tasks::WaitUntil::event(context))
    }

    /// The platform of a `scheduled` event, which lasts until its work is done.
    pub fn of_schedule(env: &Env) -> Self {
        Self::new(env, tasks::WaitUntil::nowhere())
    }

    /// The platform inside a Durable Object, where effects run.
    pub(crate) fn of_entity(env: &Env) -> Self {
        Self::new(env, tasks::WaitUntil::nowhere())
    }

    fn new(env: &Env, tasks: tasks::WaitUntil) -> Self {
        let outside = OUTSIDE.with(|known| *known.get_or_init(|| Box::leak(Box::new(Outside::new(env)))));
        Self(Arc::new(Inner { outside, tasks }))
    }
}

impl Platform for WorkersPlatform {
    type Sql = sql::D1Sql;
    type Kv = kv::WorkersKv;
    type Entities = WorkersEntities;
    type Http = http::FetchClient;
    type Signer = signer::WebCryptoSigner;
    type Aead = aead::WebAead;
    type Services = services::BoundServices;
    type Clock = clock::DateClock;
    type Random = random::WebRandom;
    type Config = config::EnvConfig;
    type Memo = memo::IsolateMemo;
    type Tasks = tasks::WaitUntil;
    type Log = log::Console;

    fn sql(&self) -> &sql::D1Sql {
        &self.0.outside.sql
    }
    fn kv(&self) -> &kv::WorkersKv {
        &self.0.outside.kv
    }
    fn entities(&self) -> &WorkersEntities {
        &self.0.outside.entities
    }
    fn http(&self) -> &http::FetchClient {
        &self.0.outside.http
    }
    fn signer(&self) -> &signer::WebCryptoSigner {
        &self.0.outside.signer
    }
    fn aead(&self) -> &aead::WebAead {
        &self.0.outside.aead
    }
    fn services(&self) -> &services::BoundServices {
        &self.0.outside.services
    }
    fn clock(&self) -> &clock::DateClock {
        &self.0.outside.clock
    }
    fn random(&self) -> &random::WebRandom {
        &self.0.outside.random
    }
    fn config(&self) -> &config::EnvConfig {
        &self.0.outside.config
    }
    fn memo(&self) -> &memo::IsolateMemo {
        &self.0.outside.memo
    }
    fn tasks(&self) -> &tasks::WaitUntil {
        &self.0.tasks
    }
    fn log(&self) -> &log::Console {
        &self.0.outside.log
    }
}
