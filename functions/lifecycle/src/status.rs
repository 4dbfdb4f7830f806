//! POST /internal/status/lifecycle: whether the registrations with homeservers can be read.

use serde_json::json;
use tmcp_http::status::{Check, Question, Status};
use tmcp_http::{Call, Failure, Reply, registrations};
use tmcp_ports::Platform;

/// The handler.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let _: Question = call.message()?;
    let read = registrations(&call.platform).map_err(Failure::from);
    Reply::json(&json!(Status { checks: vec![Check::of("appservices", read)], ..Status::default() }))
}
