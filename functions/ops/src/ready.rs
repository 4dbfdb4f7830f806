//! GET /ops/ready: whether everything that requests need answers: each function with its configuration and keys, the database with the
//! schema that this code needs, the homeservers. For alerts and for a deployment that waits; what restarts a process asks
//! `/ops/health`.
//!
//! | answer | when |
//! |---|---|
//! | 200 | all of it |
//! | 503 | something does not; the answer names it, the log says why |

use crate::status;
use http::StatusCode;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tmcp_http::status::Check;
use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::migrations::{MIGRATIONS, PROBE};
use tmcp_ports::{Platform, Sql, stmt};

/// The handler.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let schema = call.platform.sql().query(stmt!(PROBE)).await.map_err(Failure::from);
    let mut all = vec![("ops", vec![Check::of("schema", schema)])];
    all.extend(status::of_all(&call, false).await.into_iter().map(|(function, status)| (function, status.checks)));
    let shown: Value = all
        .iter()
        .map(|(function, checks)| {
            // Neither the address of a database nor the list of a closed federation is everybody's business.
            let mut shown = BTreeMap::new();
            for check in checks {
                let name = check.name.split_once(' ').map_or(check.name.as_str(), |(kind, _)| kind);
                *shown.entry(name.to_owned()).or_insert(true) &= check.problem.is_none();
            }
            ((*function).to_owned(), json!(shown))
        })
        .collect();
    let problems: Vec<String> = all
        .iter()
        .flat_map(|(function, checks)| checks.iter().map(move |check| (function, check)))
        .filter_map(|(function, check)| Some(format!("{function}: {}: {}", check.name, check.problem.as_ref()?)))
        .collect();
    let newest = MIGRATIONS.last().map(|(name, _)| *name);
    let body = |status: &str| json!({"status": status, "schema": newest, "checks": shown});
    if problems.is_empty() {
        return Reply::json(&body("ready"));
    }
    call.note(problems.join("; "));
    Ok(Reply::json(&body("not ready"))?.with_status(StatusCode::SERVICE_UNAVAILABLE))
}
