//! POST /internal/maintain/identity: periodic work.

use crate::sql::{self, StandingRow};
use crate::{leaving, standing, told};
use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::{Platform, Sql, stmt};

/// Whoever said something about a person has told it by then, or died.
const UNTOLD_MS: i64 = 60_000;

/// The handler.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let now = call.now();
    // First: nothing that is over is as urgent. One that cannot be told does not keep the others from it.
    let untold: Vec<StandingRow> = call.platform.sql().rows(stmt!(sql::UNTOLD_STANDINGS, now.plus(-UNTOLD_MS))).await?;
    for row in &untold {
        if let Err(failure) = standing::tell(&call, row).await {
            call.note(format!("standing of {}: {}", row.uid.as_str(), failure.cause().unwrap_or_default()));
        }
    }
    call.platform.sql().query(stmt!(sql::FORGET_OPENID, now)).await?;
    call.platform.sql().query(stmt!(sql::FORGET_LINKS, now)).await?;
    call.platform.sql().query(stmt!(sql::FORGET_STAYS, now)).await?;
    let erased = leaving::erase(&call).await?;
    // Last: homeservers may be slow.
    told::catch_up(&call, call.now()).await?;
    Reply::json(&serde_json::json!({ "erased": erased }))
}
