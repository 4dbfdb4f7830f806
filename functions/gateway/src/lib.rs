//! Cloudflare Workers only: the public entry. It finds the function of a path in the route table and passes the request on;
//! nothing else lives here. Spin routes by itself.
//!
//! Invariant: `/internal/` is never passed on, whatever the request says.
#![cfg(target_os = "unknown")]

use http::header::CONTENT_TYPE;
use tmcp_protocol::error::{ErrorBody, ErrorDetail};
use tmcp_protocol::routes::function_for;
use tmcp_protocol::{ErrorCode, Millis};
use worker::{Body, Context, Env, HttpRequest, HttpResponse, event};

#[event(fetch)]
async fn fetch(mut request: HttpRequest, env: Env, _: Context) -> worker::Result<HttpResponse> {
    let Some(function) = binding_for(&env, request.uri().path()) else { return not_found() };
    // Only functions may call functions in this way, and they do not come through here.
    request.headers_mut().remove("x-tmcp-service");
    env.service(&function)?.fetch_request(request).await
}

/// The binding that serves a path. A deployment may bind more functions than the table knows, each under a prefix of its own:
/// `EXTRA_ROUTES` is `/prefix/=BINDING`.
fn binding_for(env: &Env, path: &str) -> Option<String> {
    if let Some(function) = function_for(path) {
        return Some(function.binding().to_owned());
    }
    let extra = env.var("EXTRA_ROUTES").ok()?.to_string();
    let (prefix, binding) = extra.split_once('=')?;
    (!prefix.is_empty() && path.starts_with(prefix) && !path.starts_with("/internal")).then(|| binding.to_owned())
}

fn not_found() -> worker::Result<HttpResponse> {
    let code = ErrorCode::NotFound;
    let now = Millis(i64::try_from(worker::Date::now().as_millis()).unwrap_or(0));
    let error = ErrorDetail {
        code: code.as_str(),
        message: "there is nothing at this path",
        details: None,
        retry_after: None,
        timestamp: now.rfc3339(),
        request_id: "",
    };
    let body = serde_json::to_vec(&ErrorBody { error })?;
    let response = worker::Response::from_bytes(body)?.with_status(code.status());
    response.headers().set(CONTENT_TYPE.as_str(), "application/json")?;
    let response: http::Response<Body> = response.try_into()?;
    Ok(response)
}
