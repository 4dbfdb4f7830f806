//! The entry on Cloudflare Workers.

use tmcp_http::group::Service;
use tmcp_workers::WorkersPlatform;
use worker::web_sys::{Request, Response};
use worker::{Context, Env, event};

thread_local! {
    static SERVICE: Service<WorkersPlatform> = crate::routes().build();
}

#[event(fetch)]
async fn fetch(request: Request, env: Env, context: Context) -> worker::Result<Response> {
    tmcp_workers::serve(SERVICE.with(Clone::clone), request, &env, context).await
}
