//! The token side of the OAuth 2.0 authorization server, and sign-in: the only room that holds the private signing key, and the owner
//! of clients, codes and refresh families. What a person sees and decides is account's.
//!
//! Invariants: a code and a refresh token are used once, and only one of many parallel uses succeeds; whoever ends a session ends its family
//! in SQL before its tokens at the subject, so that nothing issued in between survives.

mod apps;
mod client;
mod client_credentials;
mod client_info;
mod clients;
mod code;
mod consent;
mod developer_token;
mod device;
mod device_grant;
mod device_question;
mod end_app;
mod exchange;
mod family;
mod introspect;
mod issue_code;
mod jwks;
mod logout;
mod maintain;
mod metadata;
mod mint;
mod origins;
mod refresh;
mod revoke;
mod session;
mod sign_in;
mod sign_in_by_code;
mod sql;
mod status;
mod token;

#[cfg(target_os = "wasi")]
mod spin;
#[cfg(target_os = "unknown")]
mod workers;

use tmcp_http::{Group, Nobody};
use tmcp_ports::Platform;
use tmcp_protocol::routes::{self, Function};

/// The routes of this function.
pub fn routes<P: Platform>() -> Group<P, Nobody> {
    Group::new(Function::Auth)
        .origins(|platform: P, origin: String| async move { origins::look_up(&platform, &origin).await })
        .at(&routes::MATRIX_SIGN_IN, sign_in::handle)
        .at(&routes::OAUTH_SIGN_IN, sign_in_by_code::handle)
        .at(&routes::INTERNAL_LOGOUT, logout::handle)
        .at(&routes::TOKEN, token::handle)
        .at(&routes::DEVICE, device::handle)
        .at(&routes::INTERNAL_DEVICE, device_question::show)
        .at(&routes::INTERNAL_DEVICE_DECIDE, device_question::decide)
        .at(&routes::REVOKE, revoke::handle)
        .at(&routes::INTROSPECT, introspect::handle)
        .at(&routes::JWKS, jwks::handle)
        .at(&routes::METADATA, metadata::handle)
        .at(&routes::INTERNAL_DEVELOPER_TOKEN, developer_token::handle)
        .at(&routes::INTERNAL_CLIENT, client_info::handle)
        .at(&routes::INTERNAL_CODE, issue_code::handle)
        .at(&routes::INTERNAL_APPS, apps::handle)
        .at(&routes::INTERNAL_END_APP, end_app::handle)
        .at(&routes::INTERNAL_CLIENTS, clients::handle)
        .at(&routes::INTERNAL_ORIGINS, origins::handle)
        .at(&routes::INTERNAL_STATUS_AUTH, status::handle)
        .at(&routes::INTERNAL_MAINTAIN_AUTH, maintain::handle)
}

#[cfg(test)]
mod tests;
