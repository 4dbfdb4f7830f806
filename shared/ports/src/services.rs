//! `Services`: another function's `/internal/` interface. A service binding on Workers, `http://<component>.spin.internal` on Spin.

use crate::http_client::{OutboundRequest, OutboundResponse};
use std::future::Future;
use tmcp_protocol::routes::Function;

/// The function did not answer; the text is for the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("service: {0}")]
pub struct ServiceError(pub String);

/// Other functions. The service token is among the headers already: `shared/http` puts it there.
pub trait Services: Send + Sync {
    /// Sends a request to `function`, whatever host its URL names, and reads the whole response.
    fn send(
        &self,
        function: Function,
        request: OutboundRequest,
    ) -> impl Future<Output = Result<OutboundResponse, ServiceError>> + Send;
}
