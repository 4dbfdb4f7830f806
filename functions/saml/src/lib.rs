//! A SAML 2.0 service provider: asks identity providers who somebody is, and believes what they signed. What follows from it is
//! broker's: a response is nothing without the browser in which the request began.
//!
//! Invariants: only bytes that a configured certificate's key signed are read; an assertion counts once, for the request that it
//! answers; no key, name or address in a response leads anywhere.

mod assertion;
mod certificate;
mod consume;
mod encrypted;
mod maintain;
mod metadata;
mod redeem;
mod request;
mod response;
mod settings;
mod signature;
mod sql;
mod status;
mod xml;

#[cfg(target_os = "wasi")]
mod spin;
#[cfg(target_os = "unknown")]
mod workers;

#[cfg(test)]
mod tests;

use tmcp_http::{Group, Nobody};
use tmcp_ports::Platform;
use tmcp_protocol::routes::{self, Function};

/// The routes of this function.
pub fn routes<P: Platform>() -> Group<P, Nobody> {
    Group::new(Function::Saml)
        .at(&routes::SAML_METADATA, metadata::handle)
        .at(&routes::SAML_CONSUME, consume::handle)
        .at(&routes::INTERNAL_SAML_REQUEST, request::handle)
        .at(&routes::INTERNAL_SAML_REDEEM, redeem::handle)
        .at(&routes::INTERNAL_STATUS_SAML, status::handle)
        .at(&routes::INTERNAL_MAINTAIN_SAML, maintain::handle)
}
