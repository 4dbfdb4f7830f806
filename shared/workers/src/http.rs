//! The entry of a `fetch` event, and `HttpClient` by `fetch`.

use crate::WorkersPlatform;
use crate::config::EnvConfig;
use crate::glue;
use crate::response::to_web;
use axum_core::body::Body;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use futures_util::future::{Either, select};
use futures_util::stream::once;
use http_body::Body as _;
use std::pin::pin;
use std::time::Duration;
use tmcp_http::Address;
use tmcp_http::group::Service;
use tmcp_ports::guard::{check_untrusted, host_of};
use tmcp_ports::{Config, HttpClient, HttpError, OutboundRequest, OutboundResponse, Trust};
use worker::js_sys::Uint8Array;
use worker::send::SendFuture;
use worker::wasm_bindgen::JsValue;
use worker::wasm_bindgen_futures::JsFuture;
use worker::{AbortController, Context, Delay, Env, Fetch, Headers, Method, Request, RequestInit, RequestRedirect};

/// Answers a `fetch` event. The source address is what Cloudflare says it is; a client cannot set that header. Request and response
/// are the platform's own: `worker`'s types around them would make each a second time.
pub async fn serve(
    service: Service<WorkersPlatform>,
    request: web_sys::Request,
    env: &Env,
    context: Context,
) -> worker::Result<web_sys::Response> {
    to_web(answer(service, request, env, context).await?).await
}

/// The same, for functions that send bodies piece by piece: one whose length nobody knows leaves as a stream.
pub async fn serve_stream(
    service: Service<WorkersPlatform>,
    request: web_sys::Request,
    env: &Env,
    context: Context,
) -> worker::Result<web_sys::Response> {
    let response = answer(service, request, env, context).await?;
    if response.body().size_hint().exact().is_some() {
        return to_web(response).await;
    }
    let (parts, body) = response.into_parts();
    let pieces = body.into_data_stream().map(|piece| match piece {
        Ok(piece) => Ok(piece.to_vec()),
        Err(error) => Err(worker::Error::RustError(error.to_string())),
    });
    let headers = Headers::new();
    for (name, value) in &parts.headers {
        headers.append(name.as_str(), value.to_str().unwrap_or_default())?;
    }
    let response = worker::Response::from_stream(pieces)?.with_status(parts.status.as_u16()).with_headers(headers);
    Ok(response.into())
}

async fn answer(
    service: Service<WorkersPlatform>,
    request: web_sys::Request,
    env: &Env,
    context: Context,
) -> worker::Result<http::Response<Body>> {
    let request = from_web(request)?;
    let address = request.headers().get("cf-connecting-ip").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let address = Address::parse(address);
    let platform = WorkersPlatform::of_event(env, context);
    Ok(tmcp_http::serve(&service, platform, request, address).await)
}

/// A request of the platform, with its headers brought over as one text. A body that announced its length comes as a whole when it is
/// asked for, after that length was judged; one that did not comes in chunks, so that it can be broken off.
fn from_web(request: web_sys::Request) -> worker::Result<http::Request<Body>> {
    let wrong = |error: http::Error| worker::Error::RustError(error.to_string());
    let head = glue::head(&request)?;
    let mut lines = head.split('\n');
    let mut builder = http::Request::builder().method(lines.next().unwrap_or_default()).uri(lines.next().unwrap_or_default());
    let mut announced = false;
    while let Some(name) = lines.next() {
        let value = lines.next().ok_or_else(|| worker::Error::RustError("a header without a value".to_owned()))?;
        announced |= name == "content-length";
        builder = builder.header(name, value);
    }
    let body = match request.body() {
        None => Body::empty(),
        Some(_) if announced => Body::from_stream(once(SendFuture::new(whole(Unread(Some(request)))))),
        Some(stream) => Body::new(worker::Body::new(stream)),
    };
    builder.body(body).map_err(wrong)
}

/// A request whose body nobody has read. Left so, its stream is cancelled: otherwise the runtime would wait for a body that was refused
/// by its announced length, and the refusal would not leave.
struct Unread(Option<web_sys::Request>);

impl Drop for Unread {
    fn drop(&mut self) {
        if let Some(stream) = self.0.take().and_then(|request| request.body()) {
            let _ = stream.cancel();
        }
    }
}

async fn whole(mut unread: Unread) -> worker::Result<Vec<u8>> {
    let Some(request) = unread.0.take() else { return Ok(Vec::new()) };
    let bytes = JsFuture::from(request.array_buffer()?).await?;
    Ok(Uint8Array::new(&bytes).to_vec())
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
        init.with_body(Some(JsValue::from(Uint8Array::from(request.body().as_ref()))));
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
        init.with_body(Some(JsValue::from(Uint8Array::from(outbound.body.as_ref()))));
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
