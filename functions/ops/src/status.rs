//! What every function says of itself.

use serde_json::json;
use tmcp_http::status::{Check, Status};
use tmcp_http::{Call, Failure};
use tmcp_ports::Platform;
use tmcp_protocol::routes::{INTERNAL_STATUS_AUTH, INTERNAL_STATUS_IDENTITY, INTERNAL_STATUS_STORAGE, Route};

const ROUTES: [&Route; 3] = [&INTERNAL_STATUS_AUTH, &INTERNAL_STATUS_IDENTITY, &INTERNAL_STATUS_STORAGE];

/// Asks each in turn. One that does not answer has one check, which failed.
pub async fn of_all<P: Platform>(call: &Call<P>) -> Vec<(&'static str, Status)> {
    let mut all = Vec::new();
    for route in ROUTES {
        let answer = match call.ask::<Status>(route, &json!({})).await {
            Ok(Ok(status)) => Ok(status),
            Ok(Err(refused)) => Err(Failure::unavailable(format!("answers {}", refused.status))),
            Err(failure) => Err(failure),
        };
        let status = answer
            .unwrap_or_else(|failure| Status { checks: vec![Check::of("function", Err::<(), _>(failure))], ..Status::default() });
        all.push((route.function.as_str(), status));
    }
    all
}
