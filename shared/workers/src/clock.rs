//! `Clock`: `Date.now()`. Workers let it stand still between two I/O operations.

use tmcp_ports::Clock;
use tmcp_protocol::Millis;

/// JavaScript's clock.
pub struct DateClock;

impl Clock for DateClock {
    fn now(&self) -> Millis {
        Millis(i64::try_from(worker::Date::now().as_millis()).unwrap_or(i64::MAX))
    }
}
