//! The request pipeline that every function shares.
//!
//! ```text
//!  request ─▶ id, trace ─▶ preflight? ─▶ route ─▶ who calls ─▶ subject: rate, generation ─▶ scope ─▶ body ─▶ handler
//!                                         404, 405   401, 403      429, 401, 503            403      413, 415
//!  response ◀─ log line, counters ◀─ CORS, security headers, X-RateLimit-* ◀─ answer or failure in the route's error form
//! ```
//!
//! Architecture invariant: no runtime is named here; everything of the outside comes through `tmcp_ports::Platform`.

pub mod address;
pub mod audit;
pub mod body;
pub mod call;
pub mod caller;
pub mod cookie;
pub mod cors;
pub mod credentials;
pub mod failure;
pub mod group;
pub mod headers;
mod holders;
pub mod internal;
mod known;
pub mod metrics;
pub mod outbox;
pub mod page;
pub mod people;
pub mod settings;
pub mod status;
pub mod subject;
pub mod trace;

mod pipeline;

pub use address::Address;
pub use call::Call;
pub use caller::Caller;
pub use failure::{Failure, Reply};
pub use group::{Group, serve};
pub use holders::{Callers, Developers, Everybody, Homeservers, Nobody, People};
pub use known::{console, is_console, registrations};
pub use settings::Settings;

/// SHA-256 as lower-case hexadecimal: how tokens and secrets of high entropy are kept.
pub fn sha256_hex(bytes: impl AsRef<[u8]>) -> String {
    use sha2::{Digest, Sha256};
    tmcp_protocol::hex::hex(&Sha256::digest(bytes))
}

/// Compares two secrets in a time that tells nothing about where they differ.
pub fn same_secret(a: &str, b: &str) -> bool {
    use subtle::ConstantTimeEq;
    // Hashing first makes the lengths equal, so that the length tells nothing either.
    sha256_hex(a).as_bytes().ct_eq(sha256_hex(b).as_bytes()).into()
}
