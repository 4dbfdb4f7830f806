//! What apps may do is decided here: whether an app gets in (the authorization endpoint), what a person agrees to (consent, on a page
//! or on a device), and what they take back. Tokens are auth's: this room holds no key. Browser sessions are account's.
//!
//! Invariants: nothing is decided by a token that an app holds, nor by a session that proves little; a form counts with the session's
//! own token only; nobody is sent to an address that the client did not register.

mod apps;
mod authorize;
mod authorize_request;
mod client;
mod consent;
mod device;
mod maintain;
mod pages;
mod privacy;
mod questions;
mod sql;
mod status;
mod take_back;

#[cfg(target_os = "wasi")]
mod spin;
#[cfg(target_os = "unknown")]
mod workers;

use tmcp_http::{Group, cookie};
use tmcp_ports::Platform;
use tmcp_protocol::routes::{self, Function};

/// The routes of this function.
pub fn routes<P: Platform>() -> Group<P> {
    Group::new(Function::Consent)
        .reading(&[cookie::HEADER])
        .at(&routes::AUTHORIZE, authorize::handle)
        .at(&routes::CONSENT_SHOW, consent::show)
        .at(&routes::CONSENT, consent::answer)
        .at(&routes::DEVICE_PAGE, device::show)
        .at(&routes::DEVICE_ANSWER, device::answer)
        .at(&routes::TAKE_BACK, take_back::handle)
        .at(&routes::INTERNAL_CONSENTS, questions::handle)
        .at(&routes::INTERNAL_AGREED, apps::list)
        .at(&routes::INTERNAL_TAKE_BACK, apps::take_back)
        .at(&routes::CONSENT_HISTORY, privacy::list)
        .at(&routes::INTERNAL_EXPORT_CONSENT, privacy::export)
        .at(&routes::INTERNAL_ERASE_CONSENT, privacy::erase)
        .at(&routes::INTERNAL_STATUS_CONSENT, status::handle)
        .at(&routes::INTERNAL_MAINTAIN_CONSENT, maintain::handle)
}

#[cfg(test)]
mod tests {
    use tmcp_testkit::TestPlatform;

    #[test]
    fn every_route_has_a_handler() {
        assert!(crate::routes::<TestPlatform>().unbound().is_empty());
    }
}
