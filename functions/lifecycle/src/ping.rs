//! POST /_matrix/app/v1/ping: a homeserver asks whether it reaches us. Body: `transaction_id?`. Always `{}`, to whom has a token.

use serde::Deserialize;
use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::Platform;

#[derive(Deserialize)]
struct Ping {
    #[allow(dead_code, reason = "checked, and of no use")]
    transaction_id: Option<String>,
}

/// The handler.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    call.homeserver()?;
    let Ping { .. } = call.json()?;
    Reply::json(&serde_json::json!({}))
}
