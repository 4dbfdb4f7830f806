//! Cloudflare Workers only: the public entry. It finds the function of a path in the route table and passes the request on;
//! nothing else lives here. Spin routes by itself.
//!
//! Invariant: `/internal/` is never passed on to a function that has such an interface, whatever the request says.
#![cfg(target_os = "unknown")]

use tmcp_protocol::routes::{Function, function_for};
use worker::{Context, Env, HttpResponse, Request, event};

#[event(fetch)]
async fn fetch(request: Request, env: Env, _: Context) -> worker::Result<HttpResponse> {
    // The request goes on as it is: nothing of it is read or changed here.
    let binding = binding_for(&env, &request.path());
    env.service(&binding)?.fetch_request(request).await
}

/// The binding that serves a path. What nobody serves goes to ops, which answers 404 in the protocol's form and has no `/internal/`
/// interface. A deployment may bind one Worker more under a prefix of its own: `EXTRA_ROUTES` is `/prefix/=BINDING`.
fn binding_for(env: &Env, path: &str) -> String {
    if let Some(function) = function_for(path) {
        return function.binding().to_owned();
    }
    let extra = env.var("EXTRA_ROUTES").map(|value| value.to_string()).unwrap_or_default();
    match extra.split_once('=') {
        Some((prefix, binding)) if prefix.len() > 1 && path.starts_with(prefix) && !path.starts_with("/internal") => {
            binding.to_owned()
        }
        _ => Function::Ops.binding().to_owned(),
    }
}
