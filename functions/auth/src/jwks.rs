//! GET /.well-known/jwks.json: the public keys that verify our tokens (RFC 7517), kept by clients for five minutes.

use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL};
use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::Platform;

/// The handler.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let reply = Reply::json(&call.settings.jwks)?;
    Ok(reply.header(CACHE_CONTROL, "public, max-age=300").header(ACCESS_CONTROL_ALLOW_ORIGIN, "*"))
}
