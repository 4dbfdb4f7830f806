//! What homeservers tell us of, as the Application Service that we are to them (Application Service API v1; TMCP 6): for now, that
//! somebody changed their profile, which identity then looks at.
//!
//! Invariants: an event is a hint and proves nothing; what it may change is read from the homeserver itself. A transaction may come again, and
//! does when a homeserver has lost count: each does no more the second time than the first.

mod ping;
mod query;
mod status;
mod transaction;

#[cfg(target_os = "wasi")]
mod spin;
#[cfg(target_os = "unknown")]
mod workers;

use tmcp_http::{Group, Homeservers};
use tmcp_ports::Platform;
use tmcp_protocol::routes::{self, Function};

/// The routes of this function.
pub fn routes<P: Platform>() -> Group<P, Homeservers> {
    Group::new(Function::Lifecycle)
        .at(&routes::AS_TRANSACTION, transaction::handle)
        .at(&routes::AS_PING, ping::handle)
        .at(&routes::AS_USER, query::user)
        .at(&routes::AS_ROOM, query::room)
        .at(&routes::INTERNAL_STATUS_LIFECYCLE, status::handle)
}

#[cfg(test)]
mod tests {
    use tmcp_testkit::TestPlatform;

    #[test]
    fn every_route_has_a_handler() {
        assert!(crate::routes::<TestPlatform>().unbound().is_empty());
    }
}
