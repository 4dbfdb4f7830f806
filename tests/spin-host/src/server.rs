//! The HTTP/1.1 server.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use tokio::net::{TcpListener, TcpStream};
use wasmtime_wasi_http::io::TokioIo;
use wasmtime_wasi_http::{Error, WasiBody};

use crate::app::{App, empty_response};
use crate::counts;

/// Paths that Spin answers itself.
const WELL_KNOWN: &str = "/.well-known/spin/";

/// Accepts connections for ever.
pub async fn serve(app: Arc<App>, listener: TcpListener, tells_counts: bool) {
    loop {
        match listener.accept().await {
            Ok((stream, client)) => {
                tokio::spawn(serve_connection(Arc::clone(&app), stream, client, tells_counts));
            }
            Err(error) => {
                // Such as too many open files: they become fewer.
                eprintln!("spin-host: failed to accept a connection: {error}");
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        }
    }
}

async fn serve_connection(app: Arc<App>, stream: TcpStream, client: SocketAddr, tells_counts: bool) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| {
        let app = Arc::clone(&app);
        async move { Ok::<_, Infallible>(handle(&app, request, client, tells_counts).await) }
    });
    // An error here is the client's: it went away, or spoke no HTTP.
    let _ = http1::Builder::new().keep_alive(true).serve_connection(TokioIo::new(stream), service).await;
}

async fn handle(app: &Arc<App>, request: Request<Incoming>, client: SocketAddr, tells_counts: bool) -> Response<WasiBody> {
    if tells_counts && request.uri().path() == counts::PATH {
        return Response::new(Full::from(counts::take()).map_err(Error::from).boxed_unsync());
    }
    if let Some(name) = request.uri().path().strip_prefix(WELL_KNOWN) {
        return match name {
            "health" => Response::new(Full::from("OK").map_err(Error::from).boxed_unsync()),
            _ => empty_response(StatusCode::NOT_FOUND),
        };
    }
    match app.router.find(request.uri().path()) {
        Some(matched) => {
            let request = request.map(|body| body.map_err(Error::from).boxed_unsync());
            app.answer(&matched, request, client).await
        }
        None => empty_response(StatusCode::NOT_FOUND),
    }
}
