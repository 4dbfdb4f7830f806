//! What the product's requests cost in platform calls alone: the same statements with values of the same sizes, the same key-value
//! operations, the same hops to an entity, the same signatures; no router, no checks, no errors, no encryption.
//!
//! What a scenario calls stands in `flow.rs`, how a runtime is called in `workers.rs` and `spin.rs`.

/// The product's statements, from its own file: the floor cannot fall behind.
#[cfg(any(target_os = "wasi", target_os = "unknown"))]
#[allow(dead_code, reason = "only some of them are on the measured ways")]
#[path = "../../../functions/auth/src/sql.rs"]
mod auth_sql;
#[cfg(any(target_os = "wasi", target_os = "unknown"))]
mod flow;
#[cfg(any(target_os = "wasi", target_os = "unknown"))]
#[allow(dead_code, reason = "only some of them are on the measured ways")]
#[path = "../../../functions/storage/src/sql.rs"]
mod storage_sql;

#[cfg(target_os = "wasi")]
mod spin;
#[cfg(target_os = "unknown")]
mod workers;
