//! GET /ops/keys: how many stored values lie under each master key. After a rotation maintenance seals them anew; a key that is not
//! listed any more can be taken out of `STORAGE_KEYS`.

use serde_json::{Value, json};
use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::Platform;
use tmcp_protocol::routes::INTERNAL_KEYS;

/// The handler.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let counts: Value = call.ask(&INTERNAL_KEYS, &json!({})).await??;
    Reply::json(&counts)
}
