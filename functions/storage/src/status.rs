//! POST /internal/status/storage: the database, the key-value store, the master keys, and what waits to be swept.

use crate::seal::KeyRing;
use crate::sql::{self, CountRow};
use serde_json::json;
use std::collections::BTreeMap;
use tmcp_http::status::{Check, Question, Status};
use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::{Kv, Platform, Sql, stmt};

/// No value lies there; a store that answers says so.
const PROBE: &str = "storage/status/0";

/// The handler.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let Question { counts } = call.message()?;
    let database = if counts { sql::QUEUES } else { sql::PROBE };
    let database = call.platform.sql().query(stmt!(database)).await.map_err(Failure::from);
    let values = call.platform.kv().get(PROBE).await.map_err(Failure::from);
    let keys = KeyRing::of(&call.platform).map_err(Failure::from);
    let mut waiting = BTreeMap::new();
    if let (true, Ok(rows)) = (counts, &database) {
        let rows = rows.iter().cloned().filter_map(|row| row.decode::<CountRow>().ok());
        waiting.extend(rows.map(|row| (row.queue, row.waiting)));
    }
    let checks = vec![Check::of("database", database), Check::of("values", values), Check::of("master_keys", keys)];
    Reply::json(&json!(Status { checks, waiting }))
}
