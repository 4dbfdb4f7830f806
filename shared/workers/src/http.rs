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
use std::cell::OnceCell;
use std::pin::pin;
use std::time::Duration;
use tmcp_http::Address;
use tmcp_http::group::Service;
use tmcp_http::headers::Headers as Read;
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
    let (request, address) = from_web(request, service.headers())?;
    let platform = WorkersPlatform::of_event(env, context);
    Ok(tmcp_http::serve(&service, platform, request, address).await)
}

/// Where the request came from, by Cloudflare's word.
const ADDRESS: &str = "cf-connecting-ip";

thread_local! {
    /// The names of the headers that are read, as JavaScript has them: of any request, and of one that sends something. An isolate has
    /// one service.
    static READ: OnceCell<(JsValue, JsValue)> = const { OnceCell::new() };
}

fn head(request: &web_sys::Request, read: &Read) -> Result<String, JsValue> {
    READ.with(|known| {
        let (always, sending) = known.get_or_init(|| {
            let always = [&[ADDRESS], read.of_any()].concat();
            (glue::list(&always.join("\n")), glue::list(&read.of_sending().join("\n")))
        });
        glue::head(request, always, sending)
    })
}

/// A request of the platform with those of its headers that are read, brought over as one text, and where it came from. A body that
/// announced its length comes as a whole when it is asked for, after that length was judged; one that did not comes in chunks, so that it
/// can be broken off.
fn from_web(request: web_sys::Request, read: &Read) -> worker::Result<(http::Request<Body>, Address)> {
    let wrong = |error: http::Error| worker::Error::RustError(error.to_string());
    let head = head(&request, read)?;
    let mut lines = head.split('\n');
    let sends = lines.next() == Some("body");
    let mut builder = http::Request::builder().method(lines.next().unwrap_or_default()).uri(lines.next().unwrap_or_default());
    let (mut announced, mut address) = (false, "");
    while let Some(name) = lines.next() {
        let value = lines.next().ok_or_else(|| worker::Error::RustError("a header without a value".to_owned()))?;
        if name == ADDRESS {
            address = value;
            continue;
        }
        announced |= name == "content-length";
        builder = builder.header(name, value);
    }
    let body = match announced {
        _ if !sends => Body::empty(),
        true => Body::from_stream(once(SendFuture::new(whole(Unread(Some(request)))))),
        false => request.body().map_or_else(Body::empty, |stream| Body::new(worker::Body::new(stream))),
    };
    Ok((builder.body(body).map_err(wrong)?, Address::parse(address)))
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
