//! `Services`: service bindings, named after the function.

use crate::bindings::binding;
use crate::http::exchange;
use tmcp_ports::{OutboundRequest, OutboundResponse, ServiceError, Services};
use tmcp_protocol::routes::Function;
use worker::Env;
use worker::send::SendFuture;

/// Service bindings.
pub struct BoundServices(Env);

impl BoundServices {
    pub(crate) fn new(env: &Env) -> Self {
        Self(env.clone())
    }
}

impl Services for BoundServices {
    async fn send(&self, function: Function, request: OutboundRequest) -> Result<OutboundResponse, ServiceError> {
        let service = binding(&self.0, function.binding()).map_err(ServiceError)?;
        SendFuture::new(exchange(&service, &request)).await.map_err(|error| ServiceError(error.to_string()))
    }
}
