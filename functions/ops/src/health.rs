//! GET /ops/health: the process answers. It asks nothing else, so that a slow database does not get the process restarted.

use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::Platform;

/// The handler.
pub async fn handle<P: Platform>(_: Call<P>) -> Result<Reply, Failure> {
    Reply::json(&serde_json::json!({"status": "ok", "version": env!("CARGO_PKG_VERSION")}))
}
