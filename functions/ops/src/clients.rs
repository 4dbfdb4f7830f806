//! POST /ops/clients: the operator registers an OAuth client, or changes it whole. What is wrong is found here; auth keeps it.
//!
//! Body: `client_id!`, `app_id!`, `name!`, `kind!` (`public` or `confidential`), `client_secret?` (made where a confidential client
//! gives none, and shown this once), `scopes[]`, `origins[]`, `redirect_uris[]` (where authorization codes may go, exactly), `grants[]?`
//! (all that the addresses suffice for, where none are named), `developer?`, `icon_url?`, `host` (a client of the platform itself),
//! `official`.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tmcp_http::{Call, Failure, Reply, sha256_hex};
use tmcp_ports::{Platform, Random};
use tmcp_protocol::client::Registration;
use tmcp_protocol::routes::INTERNAL_CLIENTS;

/// The handler.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let registration: Registration = call.json()?;
    let make = || format!("secret_{}", URL_SAFE_NO_PAD.encode(call.platform.random().bytes::<32>()));
    let (record, made) = registration.record(|secret| sha256_hex(secret), make).map_err(Failure::invalid)?;
    let _: Value = call.ask(&INTERNAL_CLIENTS, &record).await??;
    Reply::json(&json!({
        "client_id": record.client_id, "app_id": record.app_id, "kind": record.kind, "client_secret": made, "grants": record.grants,
    }))
}
