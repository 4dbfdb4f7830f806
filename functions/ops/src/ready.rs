//! GET /ops/ready: configuration parses, and the database answers with the schema that this code needs; 503 otherwise.

use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::migrations::MIGRATIONS;
use tmcp_ports::{Platform, Sql, stmt};

/// A table of the newest migration.
const PROBE: &str = "SELECT COUNT(*) AS found FROM storage_usage WHERE uid = ''";

/// The handler.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    call.platform.sql().query(stmt!(PROBE)).await?;
    let newest = MIGRATIONS.last().map(|(name, _)| *name);
    Reply::json(&serde_json::json!({"status": "ready", "schema": newest}))
}
