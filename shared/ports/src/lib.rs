//! What a function needs from its runtime, as traits named after the need and not after a vendor.
//!
//! One [`Platform`] per binary, static dispatch, native `async` traits whose futures are `Send`. The same contract suites
//! (`shared/contract`) hold every adapter. Architecture invariant: this crate names no runtime.

pub mod aead;
pub mod entity;
pub mod guard;
pub mod http_client;
pub mod kv;
pub mod migrations;
pub mod rows;
pub mod services;
pub mod signer;
pub mod sql;
pub mod support;

pub use aead::{Aead, AeadError, Sealing};
pub use entity::{Context, Decision, EffectError, EffectId, Entities, EntityError, EntityKind, Store, Wake};
pub use http_client::{HttpClient, HttpError, OutboundRequest, OutboundResponse, Trust};
pub use kv::{Kv, KvError};
pub use services::{ServiceError, Services};
pub use signer::{Hash, OaepHash, Signer, SignerError};
pub use sql::{Row, Sql, SqlError, Statement, Value};
pub use support::{Clock, Config, Log, Memo, Random, RandomAhead, Tasks};

/// Everything that a function may use of the outside world. A value is made per request and is cheap to clone.
pub trait Platform: Clone + Send + Sync + 'static {
    /// Records, queried across keys.
    type Sql: Sql;
    /// Bytes by key; eventually consistent.
    type Kv: Kv;
    /// Aggregates that are decided one command at a time.
    type Entities: Entities;
    /// Outbound requests.
    type Http: HttpClient;
    /// Signatures.
    type Signer: Signer;
    /// Encryption.
    type Aead: Aead;
    /// Other functions.
    type Services: Services;
    /// Time.
    type Clock: Clock;
    /// Randomness.
    type Random: Random;
    /// Variables and secrets.
    type Config: Config;
    /// What an isolate remembers.
    type Memo: Memo;
    /// Work after the response.
    type Tasks: Tasks;
    /// Log lines.
    type Log: Log;

    /// Records, queried across keys.
    fn sql(&self) -> &Self::Sql;
    /// Bytes by key.
    fn kv(&self) -> &Self::Kv;
    /// Aggregates.
    fn entities(&self) -> &Self::Entities;
    /// Outbound requests.
    fn http(&self) -> &Self::Http;
    /// Signatures.
    fn signer(&self) -> &Self::Signer;
    /// Encryption.
    fn aead(&self) -> &Self::Aead;
    /// Other functions.
    fn services(&self) -> &Self::Services;
    /// Time.
    fn clock(&self) -> &Self::Clock;
    /// Randomness.
    fn random(&self) -> &Self::Random;
    /// Variables and secrets.
    fn config(&self) -> &Self::Config;
    /// What an isolate remembers.
    fn memo(&self) -> &Self::Memo;
    /// Work after the response.
    fn tasks(&self) -> &Self::Tasks;
    /// Log lines.
    fn log(&self) -> &Self::Log;
}
