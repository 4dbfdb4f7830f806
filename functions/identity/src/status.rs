//! POST /internal/status/identity: the database, and each configured homeserver.

use crate::homeserver::{Homeserver, Homeservers};
use crate::sql;
use serde_json::json;
use std::collections::BTreeMap;
use tmcp_http::status::{Check, Status};
use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::{HttpClient, OutboundRequest, Platform, Sql, stmt};

/// A homeserver that takes longer is as good as down to whoever signs in.
const PATIENCE_MS: u32 = 3_000;

/// The homeserver says which versions of the client-server API it speaks.
async fn answers<P: Platform>(call: &Call<P>, homeserver: &Homeserver) -> Result<(), Failure> {
    let mut request = OutboundRequest::get(format!("{}/_matrix/client/versions", homeserver.client_url));
    request.timeout_ms = PATIENCE_MS;
    let response = call.platform.http().send(homeserver.trust, call.outbound(request)).await?;
    match response.status {
        200 => Ok(()),
        status => Err(Failure::unavailable(format!("answers {status}"))),
    }
}

/// The handler.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let database = call.platform.sql().query(stmt!(sql::PROBE)).await.map_err(Failure::from);
    let mut checks = vec![Check::of("database", database)];
    for homeserver in Homeservers::of(&call.platform)?.configured() {
        let name = format!("homeserver {}", homeserver.server_name);
        checks.push(Check::of(name, answers(&call, &homeserver).await));
    }
    Reply::json(&json!(Status { checks, waiting: BTreeMap::new() }))
}
