//! Cloudflare Workers only: the Durable Objects of subjects (`tmcp_http::subject`), which every other Worker is bound to. On Spin a subject
//! is a row.
//!
//! Invariant: nothing else lives here. An object starts from this module, and the smaller it is the sooner it answers (ADR 19).

#[cfg(target_os = "unknown")]
mod workers;
