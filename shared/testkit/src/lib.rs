//! Host adapters of the ports, for tests. Deterministic where the real ones are not, and as strict as the strictest of them.

mod client;
mod http;
mod keys;
mod kv;
mod platform;
mod sql;
mod support;

pub use client::{Answer, Client, tep};
pub use http::Recorded;
pub use keys::{private_ring, public_ring, sign};
pub use platform::{Lease, TestPlatform, TestWorld};
pub use support::{Faults, dies};
