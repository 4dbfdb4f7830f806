//! What every adapter of the ports promises. Each suite is a function over a [`Platform`]; host tests call it directly, and the
//! test-only function calls it inside workerd and inside a Spin component.
//!
//! Races are driven from outside, by many HTTP requests: within one Spin instance host calls run one after another.

mod aead;
pub mod counter;
mod http;
mod kv;
mod signer;
mod sql;
mod support;
mod unwrapping;

use tmcp_ports::Platform;

/// What was promised and does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken(pub String);

impl<E: std::error::Error> From<E> for Broken {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

/// Fails the suite with a sentence when `holds` is false.
pub(crate) fn promise(holds: bool, sentence: &str) -> Result<(), Broken> {
    if holds { Ok(()) } else { Err(Broken(sentence.to_owned())) }
}

/// Every suite's name.
pub const SUITES: &[&str] = &["sql", "kv", "signer", "aead", "http", "support", "unwrapping"];

/// Runs a suite; `None` where none has that name.
pub async fn run<P: Platform>(platform: &P, suite: &str) -> Option<Result<(), Broken>> {
    Some(match suite {
        "sql" => sql::suite(platform).await,
        "kv" => kv::suite(platform).await,
        "signer" => signer::suite(platform).await,
        "aead" => aead::suite(platform).await,
        "http" => http::suite(platform).await,
        "support" => support::suite(platform).await,
        "unwrapping" => unwrapping::suite(platform).await,
        _ => return None,
    })
}
