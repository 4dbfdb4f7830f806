//! `Clock`: `Date.now()`. Workers let it stand still between two I/O operations.

use tmcp_ports::Clock;
use tmcp_protocol::Millis;

/// JavaScript's clock.
pub struct DateClock;

impl Clock for DateClock {
    fn now(&self) -> Millis {
        // A whole number of milliseconds, far from what a double cannot hold; `new Date()` would be an object for each look.
        #[allow(clippy::cast_possible_truncation)]
        Millis(worker::js_sys::Date::now() as i64)
    }
}
