//! `Services`: service bindings, named after the function.

use crate::bindings::binding;
use crate::http::exchange;
use std::pin::Pin;
use tmcp_ports::{HttpError, OutboundRequest, OutboundResponse, ServiceError, Services};
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
        // Of a type that says nothing, so that it is compiled once and not into each that asks.
        let exchange: Pin<Box<dyn Future<Output = Result<OutboundResponse, HttpError>>>> =
            Box::pin(async move { exchange(&service, &request).await });
        SendFuture::new(exchange).await.map_err(|error| ServiceError(error.to_string()))
    }
}
