//! POST /internal/status/broker: the database, and the metadata of each OpenID provider.

use crate::upstream::openid;
use crate::{providers, sql};
use serde_json::json;
use std::collections::BTreeMap;
use tmcp_http::status::{Check, Status, answers};
use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::{Platform, Sql, Trust, stmt};
use tmcp_protocol::provider::Kind;

/// The handler.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let database = call.platform.sql().query(stmt!(sql::PROBE)).await.map_err(Failure::from);
    let mut checks = vec![Check::of("database", database)];
    for provider in providers::all(&call.platform)?.iter() {
        if let Kind::Openid(issuer, _) = &provider.kind {
            let answer = answers(&call, Trust::Configured, openid::discovery(issuer)).await;
            checks.push(Check::of(format!("provider {}", provider.id), answer));
        }
    }
    Reply::json(&json!(Status { checks, waiting: BTreeMap::new() }))
}
