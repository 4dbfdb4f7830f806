//! The entry of a `fetch` event, and `HttpClient` by `fetch`.

use crate::WorkersPlatform;
use crate::config::EnvConfig;
use axum::body::Body;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use futures_util::future::{Either, select};
use std::pin::pin;
use std::time::Duration;
use tmcp_http::Address;
use tmcp_http::group::Service;
use tmcp_ports::guard::{check_untrusted, host_of};
use tmcp_ports::{Config, HttpClient, HttpError, OutboundRequest, OutboundResponse, Trust};
use worker::send::SendFuture;
use worker::wasm_bindgen::JsValue;
use worker::{AbortController, Context, Delay, Env, Fetch, Headers, HttpRequest, Method, Request, RequestInit, RequestRedirect};

/// Answers a `fetch` event. The source address is what Cloudflare says it is; a client cannot set that header.
pub async fn serve(service: Service<WorkersPlatform>, request: HttpRequest, env: &Env, context: Context) -> http::Response<Body> {
    let address = request.headers().get("cf-connecting-ip").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let address = Address::parse(address);
    let platform = WorkersPlatform::of_event(env, context);
    tmcp_http::serve(&service, platform, request.map(Body::new), address).await
}

fn method(method: &http::Method) -> Method {
    Method::from(method.as_str().to_owned())
}

/// A request of the `http` crate as the platform's own.
pub(crate) fn to_worker(request: http::Request<Bytes>) -> worker::Result<Request> {
    let headers = Headers::new();
    for (name, value) in request.headers() {
        headers.append(name.as_str(), value.to_str().map_err(|error| worker::Error::RustError(error.to_string()))?)?;
    }
    let mut init = RequestInit::new();
    init.with_method(method(request.method())).with_headers(headers).with_redirect(RequestRedirect::Manual);
    if !request.body().is_empty() {
        init.with_body(Some(JsValue::from(worker::js_sys::Uint8Array::from(request.body().as_ref()))));
    }
    Request::new_with_init(&request.uri().to_string(), &init)
}

/// Outbound requests by `fetch`.
pub struct FetchClient(EnvConfig);

impl FetchClient {
    pub(crate) fn new(env: &Env) -> Self {
        Self(EnvConfig::new(env))
    }
}

fn unreachable(error: impl std::fmt::Display) -> HttpError {
    HttpError::Unreachable(error.to_string())
}

async fn exchange(outbound: OutboundRequest) -> Result<OutboundResponse, HttpError> {
    let headers = Headers::new();
    for (name, value) in &outbound.headers {
        headers.append(name, value).map_err(unreachable)?;
    }
    let mut init = RequestInit::new();
    init.with_method(method(&outbound.method)).with_headers(headers).with_redirect(RequestRedirect::Manual);
    if !outbound.body.is_empty() {
        init.with_body(Some(JsValue::from(worker::js_sys::Uint8Array::from(outbound.body.as_ref()))));
    }
    let request = Request::new_with_init(&outbound.url, &init).map_err(unreachable)?;
    let controller = AbortController::default();
    let signal = controller.signal();
    let work = pin!(async {
        let mut response = Fetch::Request(request).send_with_signal(&signal).await.map_err(unreachable)?;
        let status = response.status_code();
        let mut body = BytesMut::new();
        if let Ok(mut stream) = response.stream() {
            while let Some(chunk) = stream.next().await {
                let chunk = chunk.map_err(unreachable)?;
                if body.len() + chunk.len() > outbound.max_bytes {
                    return Err(HttpError::TooLarge);
                }
                body.extend_from_slice(&chunk);
            }
        }
        Ok(OutboundResponse { status, body: body.freeze() })
    });
    let clock = pin!(Delay::from(Duration::from_millis(u64::from(outbound.timeout_ms))));
    let outcome = match select(work, clock).await {
        Either::Left((outcome, _)) => outcome,
        Either::Right(_) => Err(HttpError::TimedOut),
    };
    if outcome.is_err() {
        controller.abort();
    }
    outcome
}

impl HttpClient for FetchClient {
    async fn send(&self, trust: Trust, request: OutboundRequest) -> Result<OutboundResponse, HttpError> {
        if trust == Trust::Untrusted {
            let issuer = self.0.get("ISSUER").unwrap_or_default();
            check_untrusted(&request.url, host_of(issuer.expose()))?;
        }
        let response = SendFuture::new(exchange(request)).await?;
        trust.judge(response)
    }
}
