//! The entry of a `fetch` event, and `HttpClient` by `fetch`.

use crate::WorkersPlatform;
use crate::config::EnvConfig;
use crate::response::to_web;
use crate::{glue, settled, text};
use axum_core::body::Body;
use futures_util::StreamExt;
use futures_util::stream::once;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::Body as _;
use std::cell::OnceCell;
use std::pin::Pin;
use tmcp_http::Address;
use tmcp_http::group::Service;
use tmcp_http::headers::Headers as Read;
use tmcp_ports::guard::{check_untrusted, host_of};
use tmcp_ports::{Config, HttpClient, HttpError, OutboundRequest, OutboundResponse, Trust};
use worker::js_sys::{Array, Uint8Array};
use worker::send::SendFuture;
use worker::wasm_bindgen::{JsCast, JsValue};
use worker::{Context, Env, Headers};

/// An answer on its way.
pub type Answering = Pin<Box<dyn Future<Output = worker::Result<web_sys::Response>>>>;

/// Answers a `fetch` event. The source address is what Cloudflare says it is; a client cannot set that header. Request and response
/// are the platform's own: `worker`'s types around them would make each a second time.
pub fn serve(service: Service<WorkersPlatform>, request: web_sys::Request, env: &Env, context: Context) -> Answering {
    let platform = WorkersPlatform::of_event(env, context);
    // Boxed: wasm-bindgen moves a future six times before it begins.
    Box::pin(async move { to_web(answer(service, request, platform).await?).await })
}

/// The same, for functions that send bodies piece by piece: one whose length nobody knows leaves as a stream.
pub fn serve_stream(service: Service<WorkersPlatform>, request: web_sys::Request, env: &Env, context: Context) -> Answering {
    let platform = WorkersPlatform::of_event(env, context);
    Box::pin(async move { streamed(answer(service, request, platform).await?).await })
}

async fn streamed(response: http::Response<Body>) -> worker::Result<web_sys::Response> {
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
    platform: WorkersPlatform,
) -> worker::Result<http::Response<Body>> {
    let (request, address) = from_web(request, service.headers())?;
    Ok(tmcp_http::serve(&service, platform, request, address).await)
}

/// The names of headers, as both sides have them.
struct Names {
    here: Vec<HeaderName>,
    there: JsValue,
}

impl Names {
    fn of(names: &[&'static str]) -> Self {
        Self { here: names.iter().map(|name| HeaderName::from_static(name)).collect(), there: glue::list(&names.join("\n")) }
    }
}

thread_local! {
    /// Those that are read: of any request, and of one that sends something. An isolate has one service.
    static READ: OnceCell<(Names, Names)> = const { OnceCell::new() };
}

fn wrong(error: impl std::fmt::Display) -> worker::Error {
    worker::Error::RustError(error.to_string())
}

/// A request of the platform with those of its headers that are read, brought over as one text, and where it came from. A body that
/// announced its length comes as a whole when it is asked for, after that length was judged; one that did not comes in chunks, so that it
/// can be broken off.
fn from_web(request: web_sys::Request, read: &Read) -> worker::Result<(http::Request<Body>, Address)> {
    READ.with(|known| {
        let (always, sending) = known.get_or_init(|| (Names::of(read.of_any()), Names::of(read.of_sending())));
        let head = text::bytes(&glue::head(&request, &always.there, &sending.there)?).unwrap_or_default();
        let mut lines = head.split(|byte| *byte == b'\n');
        let sends = lines.next() == Some(b"body");
        let method = http::Method::from_bytes(lines.next().unwrap_or_default()).map_err(wrong)?;
        let uri = http::Uri::try_from(lines.next().unwrap_or_default()).map_err(wrong)?;
        let address = Address::parse(std::str::from_utf8(lines.next().unwrap_or_default()).unwrap_or_default());
        let names = always.here.iter().chain(sends.then_some(&sending.here).into_iter().flatten());
        let mut headers = HeaderMap::with_capacity(always.here.len());
        for (name, line) in names.zip(lines) {
            if let Some(value) = line.strip_prefix(b":") {
                headers.insert(name, HeaderValue::from_bytes(value).map_err(wrong)?);
            }
        }
        let body = match headers.contains_key(CONTENT_LENGTH) {
            _ if !sends => Body::empty(),
            true => Body::from_stream(once(SendFuture::new(whole(Unread(Some(request)))))),
            false => request.body().map_or_else(Body::empty, |stream| Body::new(worker::Body::new(stream))),
        };
        let mut request = http::Request::new(body);
        (*request.method_mut(), *request.uri_mut(), *request.headers_mut()) = (method, uri, headers);
        Ok((request, address))
    })
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
    let bytes = settled::of(&request.array_buffer()?).await?;
    Ok(Uint8Array::new(&bytes).to_vec())
}

/// Outbound requests by `fetch`.
pub struct FetchClient(EnvConfig);

impl FetchClient {
    pub(crate) fn new(env: &Env) -> Self {
        Self(EnvConfig::new(env))
    }
}

/// Sends a request by whatever fetches (a service binding, or null for anywhere) and reads the whole response.
pub(crate) async fn exchange(fetcher: &JsValue, outbound: &OutboundRequest) -> Result<OutboundResponse, HttpError> {
    let failed = |error: JsValue| HttpError::Unreachable(worker::Error::from(error).to_string());
    let headers = outbound.headers.iter().flat_map(|(name, value)| [name.as_str(), value]);
    let head: Vec<&str> = [outbound.method.as_str(), &outbound.url].into_iter().chain(headers).collect();
    // A line break would make two of one.
    if head.iter().any(|line| line.contains(['\n', '\r'])) {
        return Err(HttpError::Unreachable("a line break in the URL or a header".to_owned()));
    }
    let body = if outbound.body.is_empty() { JsValue::NULL } else { Uint8Array::from(outbound.body.as_ref()).into() };
    let answer = glue::exchange(fetcher, &head.join("\n"), &body, outbound.max_bytes, outbound.timeout_ms);
    let answer = settled::of(&answer.map_err(failed)?).await.map_err(failed)?;
    match answer.as_string().as_deref() {
        Some("timed out") => return Err(HttpError::TimedOut),
        Some(_) => return Err(HttpError::TooLarge),
        None => {}
    }
    let answer: Array = answer.unchecked_into();
    let status = answer.get(0).as_f64().unwrap_or_default();
    // A status is three digits.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    Ok(OutboundResponse { status: status as u16, body: Uint8Array::new(&answer.get(1)).to_vec().into() })
}

impl HttpClient for FetchClient {
    async fn send(&self, trust: Trust, request: OutboundRequest) -> Result<OutboundResponse, HttpError> {
        if trust == Trust::Untrusted {
            let issuer = self.0.get("ISSUER").unwrap_or_default();
            check_untrusted(&request.url, host_of(issuer.expose()))?;
        }
        let response = SendFuture::new(exchange(&JsValue::NULL, &request)).await?;
        trust.judge(response)
    }
}
