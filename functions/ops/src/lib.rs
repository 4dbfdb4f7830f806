//! Operation: health, readiness, metrics, migrations, periodic work, and the registration of clients.
//!
//! Invariant: periodic work is done by the function that owns the data; this one only asks each in turn, and one that fails does
//! not keep the others from theirs.

mod alerts;
mod audit_log;
mod clients;
mod health;
mod keys;
mod maintenance;
mod metrics;
mod migrate;
mod openapi;
mod ready;
mod signs;
mod status;

#[cfg(target_os = "wasi")]
mod spin;
#[cfg(target_os = "unknown")]
mod workers;

pub use maintenance::run_scheduled;

use tmcp_http::{Group, Nobody};
use tmcp_ports::Platform;
use tmcp_protocol::routes::{self, Function};

/// The routes of this function.
pub fn routes<P: Platform>() -> Group<P, Nobody> {
    Group::new(Function::Ops)
        .at(&routes::OPENAPI, openapi::handle)
        .at(&routes::HEALTH, health::handle)
        .at(&routes::READY, ready::handle)
        .at(&routes::METRICS, metrics::handle)
        .at(&routes::MIGRATE, migrate::handle)
        .at(&routes::MAINTENANCE, maintenance::handle)
        .at(&routes::REGISTER_CLIENT, clients::handle)
        .at(&routes::AUDIT, audit_log::handle)
        .at(&routes::STORAGE_KEYS, keys::handle)
}

#[cfg(test)]
mod tests;
