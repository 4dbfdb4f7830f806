//! What every function says of itself.

use tmcp_http::status::{Check, Question, Status};
use tmcp_http::{Call, Failure};
use tmcp_ports::Platform;
use tmcp_protocol::routes::{
    INTERNAL_STATUS_ACCOUNT, INTERNAL_STATUS_AUTH, INTERNAL_STATUS_BROKER, INTERNAL_STATUS_CONSENT, INTERNAL_STATUS_DEVELOPER,
    INTERNAL_STATUS_IDENTITY, INTERNAL_STATUS_LIFECYCLE, INTERNAL_STATUS_SAML, INTERNAL_STATUS_STORAGE, Route,
};

const ROUTES: [&Route; 9] = [
    &INTERNAL_STATUS_AUTH,
    &INTERNAL_STATUS_ACCOUNT,
    &INTERNAL_STATUS_BROKER,
    &INTERNAL_STATUS_CONSENT,
    &INTERNAL_STATUS_DEVELOPER,
    &INTERNAL_STATUS_IDENTITY,
    &INTERNAL_STATUS_LIFECYCLE,
    &INTERNAL_STATUS_SAML,
    &INTERNAL_STATUS_STORAGE,
];

/// Asks each in turn, with what waits if that is to be counted. One that does not answer has one check, which failed.
pub async fn of_all<P: Platform>(call: &Call<P>, counts: bool) -> Vec<(&'static str, Status)> {
    let mut all = Vec::new();
    for route in ROUTES {
        let answer = match call.ask::<Status>(route, &Question { counts }).await {
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
