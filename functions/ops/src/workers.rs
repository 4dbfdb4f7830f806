//! The entries on Cloudflare Workers: requests, and the cron trigger.

use crate::run_scheduled;
use tmcp_http::group::Service;
use tmcp_ports::{Log, Platform};
use tmcp_workers::WorkersPlatform;
use worker::web_sys::{Request, Response};
use worker::{Context, Env, ScheduleContext, ScheduledEvent, event};

thread_local! {
    static SERVICE: Service<WorkersPlatform> = crate::routes().build();
}

#[event(fetch)]
async fn fetch(request: Request, env: Env, context: Context) -> worker::Result<Response> {
    tmcp_workers::serve(SERVICE.with(Clone::clone), request, &env, context).await
}

#[event(scheduled)]
async fn scheduled(_: ScheduledEvent, env: Env, _: ScheduleContext) {
    let platform = WorkersPlatform::of_schedule(&env);
    let line = match run_scheduled(&platform).await {
        Ok((all, results)) => serde_json::json!({"level": if all { "info" } else { "error" }, "maintenance": results}),
        Err(failure) => serde_json::json!({"level": "error", "maintenance": failure.code().as_str(), "cause": failure.cause()}),
    };
    platform.log().line(&line.to_string());
}
