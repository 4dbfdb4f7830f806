//! The entry of a request, and `HttpClient` by wasi:http with its time-outs.

use crate::SpinPlatform;
use crate::config::Variables;
use axum_core::body::Body;
use bytes::{Bytes, BytesMut};
use futures_util::{SinkExt, StreamExt};
use http_body_util::BodyExt;
use send_wrapper::SendWrapper;
use spin_sdk::http::{Fields, IncomingRequest, Method as SpinMethod, OutgoingResponse, ResponseOutparam};
use std::time::{Duration, Instant};
use tmcp_http::Address;
use tmcp_http::group::Service;
use tmcp_http::headers::Headers;
use tmcp_ports::guard::{Refused, check_untrusted, host_of};
use tmcp_ports::{Config, HttpClient, HttpError, OutboundRequest, OutboundResponse, Trust};
use url::Url;
use wasi::http::outgoing_handler;
use wasi::http::types::{ErrorCode, Fields as WasiFields, Method, OutgoingBody, OutgoingRequest, RequestOptions, Scheme};
use wasi::io::streams::StreamError;

fn incoming(request: IncomingRequest, read: &Headers) -> Result<(http::Request<Body>, Address), http::Error> {
    let method = match request.method() {
        SpinMethod::Get => "GET".to_owned(),
        SpinMethod::Head => "HEAD".to_owned(),
        SpinMethod::Post => "POST".to_owned(),
        SpinMethod::Put => "PUT".to_owned(),
        SpinMethod::Delete => "DELETE".to_owned(),
        SpinMethod::Connect => "CONNECT".to_owned(),
        SpinMethod::Options => "OPTIONS".to_owned(),
        SpinMethod::Trace => "TRACE".to_owned(),
        SpinMethod::Patch => "PATCH".to_owned(),
        SpinMethod::Other(name) => name,
    };
    let mut builder =
        http::Request::builder().method(method.as_str()).uri(request.path_with_query().unwrap_or_else(|| "/".to_owned()));
    let mut address = Address::parse("");
    for (name, value) in request.headers().entries() {
        // Spin appends its own after one that the client sent: the last is true.
        if name.eq_ignore_ascii_case("spin-client-addr") {
            address = Address::parse(&String::from_utf8_lossy(&value));
        }
        if read.contains(&name) {
            builder = builder.header(name, value);
        }
    }
    let stream = request.into_body_stream().map(|chunk| chunk.map(Bytes::from).map_err(|error| error.to_debug_string()));
    // An instance has one thread, and one request.
    let body = Body::from_stream(SendWrapper::new(Box::pin(stream)));
    Ok((builder.body(body)?, address))
}

async fn send(response: http::Response<Body>, out: ResponseOutparam) {
    let (parts, body) = response.into_parts();
    let headers: Vec<(String, Vec<u8>)> =
        parts.headers.iter().map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec())).collect();
    let answer = OutgoingResponse::new(Fields::from_list(&headers).unwrap_or_else(|_| Fields::new()));
    let _ = answer.set_status_code(parts.status.as_u16());
    let mut sink = std::pin::pin!(answer.take_body());
    out.set(answer);
    // A client that has gone away is no error of ours.
    let mut body = body;
    while let Some(frame) = body.frame().await {
        match frame.map(|frame| frame.into_data()) {
            Ok(Ok(data)) if data.is_empty() => {}
            Ok(Ok(data)) => {
                if sink.send(data.to_vec()).await.is_err() {
                    return;
                }
            }
            Ok(Err(_)) => {}
            // Left open, so that nobody takes half of it for the whole.
            Err(_) => return,
        }
    }
    let _ = sink.close().await;
}

/// Answers a request, and then does the work that was left for after the response.
pub async fn serve(service: Service<SpinPlatform>, request: IncomingRequest, out: ResponseOutparam) {
    let platform = SpinPlatform::new();
    let response = match incoming(request, service.headers()) {
        Ok((request, address)) => tmcp_http::serve(&service, platform.clone(), request, address).await,
        Err(_) => {
            let mut response = http::Response::new(Body::empty());
            *response.status_mut() = http::StatusCode::BAD_REQUEST;
            response
        }
    };
    send(response, out).await;
    platform.0.tasks.run().await;
}

/// Outbound requests by wasi:http.
pub struct WasiClient;

fn unreachable(what: &str) -> HttpError {
    HttpError::Unreachable(what.to_owned())
}

fn error(code: &ErrorCode) -> HttpError {
    match code {
        ErrorCode::ConnectionTimeout
        | ErrorCode::HttpResponseTimeout
        | ErrorCode::ConnectionReadTimeout
        | ErrorCode::DnsTimeout => HttpError::TimedOut,
        other => HttpError::Unreachable(format!("{other:?}")),
    }
}

fn build(outbound: &OutboundRequest, url: &Url) -> Result<OutgoingRequest, HttpError> {
    let mut headers: Vec<(String, Vec<u8>)> =
        outbound.headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.as_bytes().to_vec())).collect();
    // Otherwise the body goes in chunks, which not everybody takes: Synapse refuses an upload that does not announce its length.
    if !outbound.body.is_empty() {
        headers.push(("content-length".to_owned(), outbound.body.len().to_string().into_bytes()));
    }
    let request = OutgoingRequest::new(WasiFields::from_list(&headers).map_err(|_| unreachable("a header"))?);
    let method = match outbound.method.as_str() {
        "GET" => Method::Get,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "DELETE" => Method::Delete,
        other => Method::Other(other.to_owned()),
    };
    let scheme = if url.scheme() == "https" { Scheme::Https } else { Scheme::Http };
    let path = url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
    request.set_method(&method).map_err(|()| unreachable("method"))?;
    request.set_scheme(Some(&scheme)).map_err(|()| unreachable("scheme"))?;
    request.set_authority(Some(url.authority())).map_err(|()| unreachable("authority"))?;
    request.set_path_with_query(Some(&path)).map_err(|()| unreachable("path"))?;
    Ok(request)
}

fn write(body: &OutgoingBody, bytes: &[u8]) -> Result<(), HttpError> {
    let stream = body.write().map_err(|()| unreachable("body"))?;
    bytes
        .chunks(4096)
        .try_for_each(|chunk| stream.blocking_write_and_flush(chunk))
        .map_err(|_| unreachable("the request broke off"))
}

/// Sends a request and reads the whole response; the host blocks, and its time-outs end it.
#[allow(clippy::disallowed_methods, reason = "a time-out of this adapter's own")]
pub(crate) fn exchange(outbound: &OutboundRequest) -> Result<OutboundResponse, HttpError> {
    let began = Instant::now();
    let limit = Duration::from_millis(u64::from(outbound.timeout_ms));
    let url = Url::parse(&outbound.url).map_err(|_| HttpError::Refused(Refused::Malformed))?;
    let request = build(outbound, &url)?;
    let options = RequestOptions::new();
    let nanos = u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX);
    let set = [
        options.set_connect_timeout(Some(nanos)),
        options.set_first_byte_timeout(Some(nanos)),
        options.set_between_bytes_timeout(Some(nanos)),
    ];
    if set.iter().any(Result::is_err) {
        return Err(unreachable("time-outs are not supported"));
    }
    let body = request.body().map_err(|()| unreachable("body"))?;
    let future = outgoing_handler::handle(request, Some(options)).map_err(|code| error(&code))?;
    write(&body, &outbound.body)?;
    OutgoingBody::finish(body, None).map_err(|code| error(&code))?;
    let response = loop {
        match future.get() {
            Some(Ok(outcome)) => break outcome.map_err(|code| error(&code))?,
            Some(Err(())) => return Err(unreachable("the response was taken already")),
            None => future.subscribe().block(),
        }
    };
    let status = response.status();
    let incoming = response.consume().map_err(|()| unreachable("body"))?;
    let stream = incoming.stream().map_err(|()| unreachable("body"))?;
    let mut bytes = BytesMut::new();
    loop {
        if began.elapsed() > limit {
            return Err(HttpError::TimedOut);
        }
        match stream.blocking_read(64 * 1024) {
            Ok(chunk) if bytes.len() + chunk.len() > outbound.max_bytes => return Err(HttpError::TooLarge),
            Ok(chunk) => bytes.extend_from_slice(&chunk),
            Err(StreamError::Closed) => break,
            Err(StreamError::LastOperationFailed(_)) => return Err(unreachable("the response broke off")),
        }
    }
    Ok(OutboundResponse { status, body: bytes.freeze() })
}

impl HttpClient for WasiClient {
    async fn send(&self, trust: Trust, request: OutboundRequest) -> Result<OutboundResponse, HttpError> {
        if trust == Trust::Untrusted {
            let issuer = Variables.get("ISSUER").unwrap_or_default();
            check_untrusted(&request.url, host_of(issuer.expose()))?;
        }
        let response = exchange(&request)?;
        trust.judge(response)
    }
}
