//! `Clock`: the WASI wall clock.

use std::time::{SystemTime, UNIX_EPOCH};
use tmcp_ports::Clock;
use tmcp_protocol::Millis;

/// The host's clock.
pub struct WasiClock;

impl Clock for WasiClock {
    #[allow(clippy::disallowed_methods, reason = "this is the Clock port")]
    fn now(&self) -> Millis {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}
