//! `Services`: another function's `/internal/` interface. A service binding on Workers, `http://<component>.spin.internal` on Spin.

use bytes::Bytes;
use std::future::Future;
use tmcp_protocol::routes::Function;

/// The function did not answer; the text is for the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("service: {0}")]
pub struct ServiceError(pub String);

/// Other functions. The service token is among the headers already: `shared/http` puts it there.
pub trait Services: Send + Sync {
    /// Sends a request with a path and headers to `function` and reads the whole response.
    fn send(
        &self,
        function: Function,
        request: http::Request<Bytes>,
    ) -> impl Future<Output = Result<http::Response<Bytes>, ServiceError>> + Send;
}
