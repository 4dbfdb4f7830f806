//! Cloudflare Workers only: the public entry. It finds the function of a path in the route table and passes the request on;
//! nothing else lives here. Spin routes by itself.
//!
//! Invariant: `/internal/` is never passed on to a function that has such an interface, whatever the request says.

#[cfg(target_os = "unknown")]
mod workers;
