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
mod memo;
mod microtasks;
mod random;
mod response;
mod services;
mod signer;
mod sql;
mod tasks;

pub use entity::{EntityHost, WorkersEntities};
pub use http::{serve, serve_stream};

use std::sync::Arc;
use tmcp_ports::Platform;
use worker::Env;

/// Everything of one request.
#[derive(Clone)]
pub struct WorkersPlatform(Arc<Inner>);

struct Inner {
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
    tasks: tasks::WaitUntil,
    log: log::Console,
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
        Self(Arc::new(Inner {
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
            tasks,
            log: log::Console,
        }))
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
        &self.0.sql
    }
    fn kv(&self) -> &kv::WorkersKv {
        &self.0.kv
    }
    fn entities(&self) -> &WorkersEntities {
        &self.0.entities
    }
    fn http(&self) -> &http::FetchClient {
        &self.0.http
    }
    fn signer(&self) -> &signer::WebCryptoSigner {
        &self.0.signer
    }
    fn aead(&self) -> &aead::WebAead {
        &self.0.aead
    }
    fn services(&self) -> &services::BoundServices {
        &self.0.services
    }
    fn clock(&self) -> &clock::DateClock {
        &self.0.clock
    }
    fn random(&self) -> &random::WebRandom {
        &self.0.random
    }
    fn config(&self) -> &config::EnvConfig {
        &self.0.config
    }
    fn memo(&self) -> &memo::IsolateMemo {
        &self.0.memo
    }
    fn tasks(&self) -> &tasks::WaitUntil {
        &self.0.tasks
    }
    fn log(&self) -> &log::Console {
        &self.0.log
    }
}
