//! POST /internal/status/storage: the database, the key-value store, the master keys, and what waits to be swept.

use crate::seal::KeyRing;
use crate::sql::{self, CountRow};
use serde_json::json;
use std::collections::BTreeMap;
use tmcp_http::status::{Check, Status};
use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::{Kv, Platform, Sql, stmt};

/// No value lies there; a store that answers says so.
const PROBE: &str = "storage/status/0";

/// The handler.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let counts: Result<Vec<CountRow>, Failure> = call.platform.sql().rows(stmt!(sql::QUEUES)).await.map_err(Failure::from);
    let values = call.platform.kv().get(PROBE).await.map_err(Failure::from);
    let keys = KeyRing::of(&call.platform).map_err(Failure::from);
    let mut waiting = BTreeMap::new();
    if let Ok(rows) = &counts {
        waiting.extend(rows.iter().map(|row| (row.queue.clone(), row.waiting)));
    }
    let checks = vec![Check::of("database", counts), Check::of("values", values), Check::of("master_keys", keys)];
    Reply::json(&json!(Status { checks, waiting }))
}
