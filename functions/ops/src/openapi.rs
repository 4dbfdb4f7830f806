//! GET /openapi.json: the interface as the route table has it, for tools and people. The file is checked in, and a test holds it to the table.

use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL};
use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::Platform;

/// The document.
const DOCUMENT: &str = include_str!(concat!(env!("OUT_DIR"), "/openapi.json"));

/// The handler.
pub async fn handle<P: Platform>(_: Call<P>) -> Result<Reply, Failure> {
    let reply = Reply::text("application/json", DOCUMENT.to_owned());
    Ok(reply.header(CACHE_CONTROL, "public, max-age=300").header(ACCESS_CONTROL_ALLOW_ORIGIN, "*"))
}
