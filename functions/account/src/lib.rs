//! What a person decides: whether an app gets in (the authorization endpoint), what it may do (consent), and what they take back. The
//! pages are here, and the browser sessions that they need. Tokens are auth's: this room holds no key.
//!
//! Invariants: nothing is decided by a token that an app holds, nor by a session that proves little; a form counts with the session's
//! own token only; nobody is sent to an address that the client did not register.

mod account_page;
mod authorize;
mod authorize_request;
mod begin_browser;
mod browser;
mod client;
mod consent;
mod device;
mod end_browsers;
mod hand_over;
mod link;
mod maintain;
mod pages;
mod questions;
mod sign_in;
mod sql;
mod status;
mod take_back;

#[cfg(target_os = "wasi")]
mod spin;
#[cfg(target_os = "unknown")]
mod workers;

use tmcp_http::Group;
use tmcp_ports::Platform;
use tmcp_protocol::routes::{self, Function};

/// The routes of this function.
pub fn routes<P: Platform>() -> Group<P> {
    Group::new(Function::Account)
        .at(&routes::AUTHORIZE, authorize::handle)
        .at(&routes::CONSENT_SHOW, consent::show)
        .at(&routes::CONSENT, consent::answer)
        .at(&routes::DEVICE_PAGE, device::show)
        .at(&routes::DEVICE_ANSWER, device::answer)
        .at(&routes::HAND_OVER, hand_over::handle)
        .at(&routes::TAKE_BACK, take_back::handle)
        .at(&routes::CONTINUE_SHOW, hand_over::show)
        .at(&routes::CONTINUE, hand_over::go_on)
        .at(&routes::ACCOUNT, account_page::show)
        .at(&routes::ACCOUNT_REVOKE, account_page::revoke)
        .at(&routes::ACCOUNT_END, account_page::end)
        .at(&routes::LINK, link::begin)
        .at(&routes::LINK_SHOW, link::show)
        .at(&routes::LINK_CONFIRM, link::confirm)
        .at(&routes::UNLINK, link::unlink)
        .at(&routes::CHOOSE, link::choose)
        .at(&routes::STYLE, pages::style)
        .at(&routes::INTERNAL_CONSENTS, questions::handle)
        .at(&routes::INTERNAL_BEGIN_BROWSER, begin_browser::handle)
        .at(&routes::INTERNAL_END_BROWSERS, end_browsers::handle)
        .at(&routes::INTERNAL_STATUS_ACCOUNT, status::handle)
        .at(&routes::INTERNAL_MAINTAIN_ACCOUNT, maintain::handle)
}

#[cfg(test)]
mod tests;
