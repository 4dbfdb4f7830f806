//! The class. Requests to the Worker itself come from nobody: it has no public address, and no other Worker has a service binding to it.

use worker::{Context, Env, HttpRequest, Response, event};

#[event(fetch)]
async fn fetch(_: HttpRequest, _: Env, _: Context) -> worker::Result<Response> {
    Response::error("there is nothing at this path", 404)
}

tmcp_workers::entity_class!(SubjectEntity, tmcp_http::subject::Subject);
