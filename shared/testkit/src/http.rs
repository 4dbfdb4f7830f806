//! Outbound requests that are answered from a table, and other functions in process.

use crate::support::lock;
use bytes::Bytes;
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use tmcp_ports::guard::check_untrusted;
use tmcp_ports::{HttpClient, HttpError, OutboundRequest, OutboundResponse, ServiceError, Services, Trust};
use tmcp_protocol::routes::Function;

/// Answers by method and URL; what is not recorded is unreachable. Keeps every request it saw.
#[derive(Clone, Default)]
pub struct Recorded {
    answers: Arc<Mutex<HashMap<String, (u16, String)>>>,
    seen: Arc<Mutex<Vec<OutboundRequest>>>,
}

impl Recorded {
    /// Records an answer.
    pub fn answer(&self, method: &str, url: &str, status: u16, body: &str) {
        lock(&self.answers).insert(format!("{method} {url}"), (status, body.to_owned()));
    }

    /// What was sent so far.
    pub fn seen(&self) -> Vec<OutboundRequest> {
        lock(&self.seen).clone()
    }
}

impl HttpClient for Recorded {
    async fn send(&self, trust: Trust, request: OutboundRequest) -> Result<OutboundResponse, HttpError> {
        if trust == Trust::Untrusted {
            check_untrusted(&request.url, "tmcp.example")?;
        }
        let found = lock(&self.answers).get(&format!("{} {}", request.method, request.url)).cloned();
        lock(&self.seen).push(request);
        let (status, body) = found.ok_or_else(|| HttpError::Unreachable("nothing recorded".to_owned()))?;
        trust.judge(OutboundResponse { status, body: Bytes::from(body) })
    }
}

type Answer = Pin<Box<dyn Future<Output = http::Response<Bytes>> + Send>>;
type Handler = Arc<dyn Fn(http::Request<Bytes>) -> Answer + Send + Sync>;

/// Other functions, called in process.
#[derive(Clone, Default)]
pub struct InProcess(pub(crate) Arc<Mutex<HashMap<Function, Handler>>>);

impl InProcess {
    /// Connects a function.
    pub fn connect<F, Fut>(&self, function: Function, handler: F)
    where
        F: Fn(http::Request<Bytes>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = http::Response<Bytes>> + Send + 'static,
    {
        lock(&self.0).insert(function, Arc::new(move |request| Box::pin(handler(request))));
    }
}

impl Services for InProcess {
    async fn send(&self, function: Function, request: OutboundRequest) -> Result<OutboundResponse, ServiceError> {
        let handler = lock(&self.0).get(&function).cloned();
        let handler = handler.ok_or_else(|| ServiceError(format!("{} is not connected", function.as_str())))?;
        let mut builder = http::Request::builder().method(request.method).uri(request.url);
        for (name, value) in request.headers {
            builder = builder.header(name, value);
        }
        let response = handler(builder.body(request.body).map_err(|error| ServiceError(error.to_string()))?).await;
        Ok(OutboundResponse { status: response.status().as_u16(), body: response.into_body() })
    }
}
