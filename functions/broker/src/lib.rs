//! Sends people to the providers that they sign in with, and proves by what comes back who they are. Whose identity it is says
//! `identity`; the browser session begins in `account`.
//!
//! Invariants: a sign-in counts once, in the browser that it began in, at the provider that it began at; nothing that a provider gives
//! us beside who somebody is, its tokens above all, is kept.

mod begin;
mod callback;
mod documents;
mod email;
mod erase;
mod maintain;
mod providers;
mod redeem;
mod sql;
mod status;
mod transaction;
mod upstream;

#[cfg(target_os = "wasi")]
mod spin;
#[cfg(target_os = "unknown")]
mod workers;

use tmcp_http::{Group, Nobody, cookie};
use tmcp_ports::Platform;
use tmcp_protocol::routes::{self, Function};

/// The routes of this function.
pub fn routes<P: Platform>() -> Group<P, Nobody> {
    Group::new(Function::Broker)
        .reading(&[cookie::HEADER, "sec-fetch-site", "user-agent"])
        .at(&routes::SIGN_IN, begin::handle)
        .at(&routes::SIGN_IN_CALLBACK, callback::handle)
        .at(&routes::EMAIL_SHOW, email::show)
        .at(&routes::EMAIL_SEND, email::send)
        .at(&routes::INTERNAL_SIGN_IN_ANEW, begin::anew)
        .at(&routes::INTERNAL_PROVIDERS, providers::offered)
        .at(&routes::INTERNAL_REDEEM, redeem::handle)
        .at(&routes::INTERNAL_ERASE_BROKER, erase::handle)
        .at(&routes::INTERNAL_STATUS_BROKER, status::handle)
        .at(&routes::INTERNAL_MAINTAIN_BROKER, maintain::handle)
}

#[cfg(test)]
mod tests {
    use tmcp_testkit::TestPlatform;

    #[test]
    fn every_route_has_a_handler() {
        assert!(crate::routes::<TestPlatform>().unbound().is_empty());
    }
}
