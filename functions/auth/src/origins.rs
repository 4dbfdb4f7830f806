//! POST /internal/origins: which active clients registered a browser origin. Asked by every function for CORS.

use crate::sql::{self, OriginRow};
use serde::Deserialize;
use tmcp_http::cors::OriginInfo;
use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::{Platform, Sql, stmt};

#[derive(Deserialize)]
struct OriginRequest {
    origin: String,
}

/// What is known about an origin.
pub async fn look_up(platform: &impl Platform, origin: &str) -> Result<OriginInfo, Failure> {
    let rows: Vec<OriginRow> = platform.sql().rows(stmt!(sql::ORIGIN, origin)).await?;
    let host = rows.iter().any(|row| row.host != 0);
    Ok(OriginInfo { clients: rows.into_iter().map(|row| row.client_id).collect(), host })
}

/// The handler.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let OriginRequest { origin } = call.message()?;
    Reply::json(&look_up(&call.platform, &origin).await?)
}
