//! GET /.well-known/jwks.json: the public keys that verify our tokens (RFC 7517), kept by clients for five minutes.

use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL};
use tmcp_http::settings::{InvalidSetting, remembered};
use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::Platform;

/// The handler.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let text = remembered(&call.platform, "jwks", |_| {
        let wrong = |error: serde_json::Error| InvalidSetting { name: "JWKS", problem: error.to_string() };
        serde_json::to_string(&call.settings.jwks).map_err(wrong)
    })?;
    let reply = Reply::text("application/json", text.to_string());
    Ok(reply.header(CACHE_CONTROL, "public, max-age=300").header(ACCESS_CONTROL_ALLOW_ORIGIN, "*"))
}
