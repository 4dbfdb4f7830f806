//! POST /internal/status/identity: the database, each configured homeserver, and the metadata of each OpenID provider.

use crate::homeserver::{Homeserver, Homeservers};
use crate::providers;
use crate::sql;
use crate::upstream::openid;
use serde_json::json;
use std::collections::BTreeMap;
use tmcp_http::status::{Check, Status};
use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::{HttpClient, OutboundRequest, Platform, Sql, Trust, stmt};
use tmcp_protocol::provider::Kind;

/// A homeserver or provider that takes longer is as good as down to whoever signs in.
const PATIENCE_MS: u32 = 3_000;

/// The homeserver says which versions of the client-server API it speaks.
async fn answers<P: Platform>(call: &Call<P>, homeserver: &Homeserver) -> Result<(), Failure> {
    says(call, homeserver.trust, format!("{}/_matrix/client/versions", homeserver.client_url)).await
}

async fn says<P: Platform>(call: &Call<P>, trust: Trust, url: String) -> Result<(), Failure> {
    let mut request = OutboundRequest::get(url);
    request.timeout_ms = PATIENCE_MS;
    let response = call.platform.http().send(trust, call.outbound(request)).await?;
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
    for provider in providers::all(&call.platform)?.iter() {
        if let Kind::Openid(issuer, _) = &provider.kind {
            checks.push(Check::of(
                format!("provider {}", provider.id),
                says(&call, Trust::Configured, openid::discovery(issuer)).await,
            ));
        }
    }
    Reply::json(&json!(Status { checks, waiting: BTreeMap::new() }))
}
