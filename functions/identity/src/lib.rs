//! Who a user is: users, identities and profiles are kept here, and sign-ins by Matrix token verified.
//!
//! Invariants: the homeserver asked is the one of the claimed Matrix id, and its answer must name that id exactly; an identity is
//! unique by (configured provider instance, external id); a person is found or created in one batch, however many sign in at once.

mod export;
mod identities;
mod known;
mod leaving;
mod linking;
mod looking;
mod maintain;
mod picture;
mod profile;
mod sql;
mod standing;
mod status;
mod told;
mod user;
mod userinfo;
mod verify;

#[cfg(target_os = "wasi")]
mod spin;
#[cfg(target_os = "unknown")]
mod workers;

use tmcp_http::Group;
use tmcp_ports::Platform;
use tmcp_protocol::routes::{self, Function};

/// The routes of this function.
pub fn routes<P: Platform>() -> Group<P> {
    Group::new(Function::Identity)
        .reading(&[profile::TOKEN])
        .at(&routes::USERINFO, userinfo::handle)
        .at(&routes::PROFILE, profile::show)
        .at(&routes::PROFILE_CHANGE, profile::change)
        .at(&routes::PROFILE_SYNC, profile::sync)
        .at(&routes::AVATAR, profile::avatar)
        .at(&routes::SUSPEND, standing::suspend)
        .at(&routes::LIFT, standing::lift)
        .at(&routes::INTERNAL_LINK_SHOW, linking::show)
        .at(&routes::INTERNAL_LINK_CONFIRM, linking::confirm)
        .at(&routes::INTERNAL_IDENTITIES, identities::list)
        .at(&routes::INTERNAL_UNLINK, identities::unlink)
        .at(&routes::INTERNAL_PROFILE, profile::of_page)
        .at(&routes::INTERNAL_LEAVE, leaving::leave)
        .at(&routes::INTERNAL_STAY_SHOW, leaving::show)
        .at(&routes::INTERNAL_STAY, leaving::answer)
        .at(&routes::INTERNAL_TOLD, told::handle)
        .at(&routes::INTERNAL_EXPORT_IDENTITY, export::handle)
        .at(&routes::INTERNAL_CHOOSE, identities::choose)
        .at(&routes::INTERNAL_KNOWN, known::handle)
        .at(&routes::INTERNAL_VERIFY, verify::handle)
        .at(&routes::INTERNAL_STATUS_IDENTITY, status::handle)
        .at(&routes::INTERNAL_MAINTAIN_IDENTITY, maintain::handle)
}

#[cfg(test)]
mod tests;
