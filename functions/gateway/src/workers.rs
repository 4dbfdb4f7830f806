//! The entry on Cloudflare Workers.

use tmcp_protocol::routes::{Function, function_for, path_of};
use tmcp_workers::settled;
use worker::wasm_bindgen::JsCast;
use worker::web_sys::{Request, Response};
use worker::worker_sys::Fetcher;
use worker::{Context, Env, event};

#[event(fetch)]
async fn fetch(request: Request, env: Env, _: Context) -> worker::Result<Response> {
    // Request and response go on as they are: nothing of them is read or changed here, and `worker`'s types around them would make
    // each a second time.
    let url = request.url();
    let service: Fetcher = env.service(&binding_for(&env, path_of(&url)))?.into_rpc();
    Ok(settled::of(&service.fetch(&request)?).await?.unchecked_into())
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
