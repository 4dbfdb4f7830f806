//! `Services`: Spin's local service chaining, `http://<component>.spin.internal`.

use crate::http::exchange;
use tmcp_ports::{OutboundRequest, OutboundResponse, ServiceError, Services};
use tmcp_protocol::routes::Function;

/// Other components of the same application.
pub struct ChainedServices;

impl Services for ChainedServices {
    async fn send(&self, _: Function, request: OutboundRequest) -> Result<OutboundResponse, ServiceError> {
        exchange(&request).map_err(|error| ServiceError(error.to_string()))
    }
}
