//! A person's account: the browser sessions, the page where they see and change where they come from and who was let in, and how they
//! come to a browser from a client that they are signed in with.
//!
//! Invariants: a session's secret is in the cookie alone, its hash in a row; nobody is signed in without having been asked; a form counts
//! with the session's own token only; who comes from where is changed by a session of a moment ago alone.

mod account_page;
mod begin_browser;
mod browser;
mod end_browsers;
mod hand_over;
mod link;
mod maintain;
mod pages;
mod privacy;
mod profile;
mod seat;
mod sessions;
mod sign_in;
mod sql;
mod status;

#[cfg(target_os = "wasi")]
mod spin;
#[cfg(target_os = "unknown")]
mod workers;

use tmcp_http::{Group, People, cookie};
use tmcp_ports::Platform;
use tmcp_protocol::routes::{self, Function};

/// The routes of this function.
pub fn routes<P: Platform>() -> Group<P, People> {
    Group::new(Function::Account)
        .reading(&[cookie::HEADER, "user-agent"])
        .at(&routes::HAND_OVER, hand_over::handle)
        .at(&routes::CONTINUE_SHOW, hand_over::show)
        .at(&routes::CONTINUE, hand_over::go_on)
        .at(&routes::ACCOUNT, account_page::show)
        .at(&routes::ACCOUNT_REVOKE, account_page::revoke)
        .at(&routes::ACCOUNT_END, account_page::end)
        .at(&routes::ACCOUNT_PROFILE, profile::change)
        .at(&routes::LOGOUT, sessions::logout)
        .at(&routes::SESSIONS, sessions::list)
        .at(&routes::SESSION_END, sessions::delete)
        .at(&routes::LINK, link::begin)
        .at(&routes::LINK_SHOW, link::show)
        .at(&routes::LINK_CONFIRM, link::confirm)
        .at(&routes::UNLINK, link::unlink)
        .at(&routes::CHOOSE, link::choose)
        .at(&routes::EXPORT, privacy::export)
        .at(&routes::LEAVE, privacy::leave)
        .at(&routes::ACCOUNT_EXPORT, privacy::export_from_page)
        .at(&routes::LEAVE_SHOW, privacy::leave_show)
        .at(&routes::ACCOUNT_LEAVE, privacy::leave_from_page)
        .at(&routes::STAY_SHOW, privacy::stay_show)
        .at(&routes::STAY, privacy::stay)
        .at(&routes::INTERNAL_ERASE_ACCOUNT, privacy::erase)
        .at(&routes::STYLE, pages::style)
        .at(&routes::INTERNAL_BROWSER, seat::handle)
        .at(&routes::INTERNAL_BEGIN_BROWSER, begin_browser::handle)
        .at(&routes::INTERNAL_END_BROWSERS, end_browsers::handle)
        .at(&routes::INTERNAL_STATUS_ACCOUNT, status::handle)
        .at(&routes::INTERNAL_MAINTAIN_ACCOUNT, maintain::handle)
}

#[cfg(test)]
mod tests {
    use tmcp_testkit::TestPlatform;

    #[test]
    fn every_route_has_a_handler() {
        assert!(crate::routes::<TestPlatform>().unbound().is_empty());
    }
}
