//! POST /internal/status/identity: the database, and each configured homeserver.

use crate::sql;
use serde_json::json;
use std::collections::BTreeMap;
use tmcp_http::status::{Check, Status, answers};
use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::{Platform, Sql, stmt};
use tmcp_proof::Homeservers;

/// The handler.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let database = call.platform.sql().query(stmt!(sql::PROBE)).await.map_err(Failure::from);
    let mut checks = vec![Check::of("database", database)];
    for homeserver in Homeservers::of(&call.platform)?.configured() {
        // It says which versions of the client-server API it speaks.
        let versions = format!("{}/_matrix/client/versions", homeserver.client_url);
        let name = format!("homeserver {}", homeserver.server_name);
        checks.push(Check::of(name, answers(&call, homeserver.trust, versions).await));
    }
    Reply::json(&json!(Status { checks, waiting: BTreeMap::new() }))
}
