//! POST /internal/status/saml: the database; the certificates of each provider, and our keys where there is one.

use crate::{settings, sql};
use serde_json::json;
use std::collections::BTreeMap;
use tmcp_http::status::{Check, Status};
use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::{Platform, Sql, stmt};

/// The handler.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let database = call.platform.sql().query(stmt!(sql::PROBE)).await.map_err(Failure::from);
    let mut checks = vec![Check::of("database", database)];
    match settings::all(&call.platform) {
        Ok(all) if all.is_empty() => {}
        Ok(_) => checks.push(Check::of("keys", settings::ours(&call.platform).map_err(Failure::from))),
        Err(problem) => checks.push(Check::of("providers", Err::<(), _>(Failure::from(problem)))),
    }
    Reply::json(&json!(Status { checks, waiting: BTreeMap::new() }))
}
