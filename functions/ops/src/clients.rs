//! POST /ops/clients: the operator registers an OAuth client, or changes it whole. Auth keeps it.
//!
//! Body: `client_id!`, `app_id!`, `name!`, `kind!` (`public` or `confidential`), `client_secret?` (made where a confidential client
//! gives none, and shown once), `scopes[]`, `origins[]`, `host` (a client of the platform itself), `official`.

use serde_json::Value;
use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::Platform;
use tmcp_protocol::routes::INTERNAL_CLIENTS;

/// The handler.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let request: Value = call.json()?;
    match call.ask::<Value>(&INTERNAL_CLIENTS, &request).await? {
        Ok(answer) => Reply::json(&answer),
        Err(refused) if refused.status == 400 => Err(Failure::invalid(refused.message)),
        Err(refused) => Err(refused.into()),
    }
}
