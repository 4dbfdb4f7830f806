//! `Services`: Spin's local service chaining, `http://<component>.spin.internal`.

use crate::http::exchange;
use bytes::Bytes;
use tmcp_ports::{OutboundRequest, ServiceError, Services};
use tmcp_protocol::routes::Function;

/// Other components of the same application.
pub struct ChainedServices;

const TIMEOUT_MS: u32 = 30_000;
const MAX_BYTES: usize = 8 * 1_048_576;

impl Services for ChainedServices {
    async fn send(&self, function: Function, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, ServiceError> {
        let (parts, body) = request.into_parts();
        let headers = parts
            .headers
            .iter()
            .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
            .collect();
        let url = format!("http://{}.spin.internal{}", function.as_str(), parts.uri.path());
        let outbound = OutboundRequest { method: parts.method, url, headers, body, timeout_ms: TIMEOUT_MS, max_bytes: MAX_BYTES };
        let answer = exchange(&outbound).map_err(|error| ServiceError(error.to_string()))?;
        let mut response = http::Response::new(answer.body);
        *response.status_mut() = http::StatusCode::from_u16(answer.status).unwrap_or(http::StatusCode::BAD_GATEWAY);
        Ok(response)
    }
}
