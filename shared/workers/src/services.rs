//! `Services`: service bindings, named after the function.

use bytes::Bytes;
use http_body_util::BodyExt;
use tmcp_ports::{ServiceError, Services};
use tmcp_protocol::routes::Function;
use worker::send::SendFuture;
use worker::{Env, Request};

/// Service bindings.
pub struct BoundServices(Env);

fn failed(error: impl std::fmt::Display) -> ServiceError {
    ServiceError(error.to_string())
}

impl BoundServices {
    pub(crate) fn new(env: &Env) -> Self {
        Self(env.clone())
    }
}

impl Services for BoundServices {
    async fn send(&self, function: Function, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, ServiceError> {
        let service = self.0.service(function.binding()).map_err(failed)?;
        SendFuture::new(async move {
            let request: Request = crate::http::to_worker(request).map_err(failed)?;
            let response = service.fetch_request(request).await.map_err(failed)?;
            let (parts, body) = response.into_parts();
            let body = body.collect().await.map_err(failed)?.to_bytes();
            Ok(http::Response::from_parts(parts, body))
        })
        .await
    }
}
