//! The entry on Cloudflare Workers.

use worker::{Context, Env, Request, Response, event};

#[event(fetch)]
async fn fetch(_: Request, _: Env, _: Context) -> worker::Result<Response> {
    let response = Response::ok(crate::BODY)?;
    response.headers().set("content-type", "application/json")?;
    Ok(response)
}
