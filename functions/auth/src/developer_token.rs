//! POST /internal/developer-token: signs what developer says of somebody (TMCP 1.12), for a day. The issuer, the audience and the times are
//! ours to say.

use crate::mint;
use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::Platform;

/// The handler.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let token = mint::developer_token(&call, call.message()?).await?;
    Reply::json(&serde_json::json!({ "token": token }))
}
