//! What the functions share that prove who somebody is. Each proves in its own way; whose proof it is, identity alone knows.
//!
//! ```text
//!  broker, saml: a provider vouches ──▶ Proven ──introduce──▶ identity: the user, found or created; or a question whether to link it
//!  identity: a homeserver vouches ───▶ Proven ─────────────────────┘
//! ```

mod homeserver;
mod introduction;
pub mod matrix;
mod refusal;

pub use homeserver::{Homeserver, Homeservers, find};
pub use introduction::{Introduction, Known, Leaving, Proven, Whose, introduce};
pub use refusal::{Refusal, audit};

/// Visible ASCII, as RFC 6750 section 2.1 has it: anything else is no token, and could not be sent in a header.
pub fn is_token(text: &str) -> bool {
    (1..=4096).contains(&text.len()) && text.bytes().all(|b| (0x21..=0x7e).contains(&b))
}
