//! Who makes apps (TMCP 1.12): developers, their tokens for the developers' console, their organisations, and the list of who may be one.
//!
//! Invariants: what a token says of roles counts nowhere here, the rows do; nobody gives or takes a role but an admin of that organisation,
//! and one admin stays; whoever is off the list, or signed out, is refused from the next request on. The private key is auth's.

mod authorize;
mod code;
mod console;
mod end;
mod invitations;
mod issue;
mod maintain;
mod members;
mod organizations;
mod privacy;
mod refresh;
mod revoke;
mod sql;
mod standing;
mod status;
mod token;
mod whitelist;

#[cfg(target_os = "wasi")]
mod spin;
#[cfg(target_os = "unknown")]
mod workers;

use tmcp_http::{Developers, Group, cookie};
use tmcp_ports::Platform;
use tmcp_protocol::routes::{self, Function};

/// The routes of this function.
pub fn routes<P: Platform>() -> Group<P, Developers> {
    Group::new(Function::Developer)
        .reading(&[cookie::HEADER])
        .at(&routes::DEVELOPER_AUTHORIZE, authorize::handle)
        .at(&routes::DEVELOPER_TOKEN, token::handle)
        .at(&routes::DEVELOPER_REVOKE, revoke::handle)
        .at(&routes::ORGANIZATIONS, organizations::list)
        .at(&routes::ORGANIZATION_CREATE, organizations::create)
        .at(&routes::ORGANIZATION, organizations::show)
        .at(&routes::ORGANIZATION_INVITE, invitations::invite)
        .at(&routes::INVITATIONS, invitations::list)
        .at(&routes::INVITATION_ACCEPT, invitations::accept)
        .at(&routes::INVITATION_END, invitations::end)
        .at(&routes::MEMBER_CHANGE, members::change)
        .at(&routes::MEMBER_END, members::end)
        .at(&routes::WHITELIST, whitelist::list)
        .at(&routes::WHITELIST_ADD, whitelist::add)
        .at(&routes::DEVELOPER_END, whitelist::end)
        .at(&routes::INTERNAL_END_DEVELOPER, end::handle)
        .at(&routes::INTERNAL_EXPORT_DEVELOPER, privacy::export)
        .at(&routes::INTERNAL_ERASE_DEVELOPER, privacy::erase)
        .at(&routes::INTERNAL_STATUS_DEVELOPER, status::handle)
        .at(&routes::INTERNAL_MAINTAIN_DEVELOPER, maintain::handle)
}

#[cfg(test)]
mod tests {
    use tmcp_testkit::TestPlatform;

    #[test]
    fn every_route_has_a_handler() {
        assert!(crate::routes::<TestPlatform>().unbound().is_empty());
    }
}
