//! The handlers.

use serde::Deserialize;
use serde_json::{Value, json};
use tmcp_contract::counter::{self, Command, Counter};
use tmcp_contract::{Broken, SUITES};
use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::{Entities, HttpClient, OutboundRequest, Platform, Tasks, Trust};
use tmcp_protocol::routes::INTERNAL_KEYS;

fn last<P: Platform>(call: &Call<P>) -> String {
    call.path.rsplit('/').next().unwrap_or_default().to_owned()
}

/// GET /contract/suites
pub async fn suites<P: Platform>(_: Call<P>) -> Result<Reply, Failure> {
    Reply::json(&json!({ "suites": SUITES }))
}

/// POST /contract/run/{suite}
pub async fn run<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let suite = last(&call);
    match tmcp_contract::run(&call.platform, &suite).await {
        Some(Ok(())) => Reply::json(&json!({"passed": true, "detail": null})),
        Some(Err(Broken(sentence))) => Reply::json(&json!({"passed": false, "detail": sentence})),
        None => Err(Failure::invalid("no suite of that name")),
    }
}

/// POST /contract/entity/{id}
pub async fn entity<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let command: Command = call.json()?;
    if matches!(command, Command::AddWithEffect { .. }) {
        counter::prepare(&call.platform).await?;
    }
    Reply::json(&call.platform.entities().ask::<Counter>(&last(&call), command).await?)
}

/// GET /contract/effects/{id}
pub async fn effects<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    counter::prepare(&call.platform).await?;
    let (done, runs) = counter::effects(&call.platform, &last(&call)).await?;
    Reply::json(&json!({"done": done, "runs": runs}))
}

/// POST /contract/flag/{name}
pub async fn set_flag<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    counter::prepare(&call.platform).await?;
    counter::set_flag(&call.platform, &last(&call)).await?;
    Ok(Reply::no_content())
}

/// GET /contract/flag/{name}
pub async fn flag<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    counter::prepare(&call.platform).await?;
    Reply::json(&json!({ "set": counter::is_set(&call.platform, &last(&call)).await? }))
}

/// POST /contract/after/{name}
pub async fn after<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    counter::prepare(&call.platform).await?;
    let (platform, name) = (call.platform.clone(), last(&call));
    call.platform.tasks().after(async move {
        let _ = counter::set_flag(&platform, &name).await;
    });
    Ok(Reply::no_content())
}

#[derive(Deserialize)]
struct FetchRequest {
    url: String,
    timeout_ms: Option<u32>,
    max_bytes: Option<usize>,
}

/// POST /contract/fetch
pub async fn fetch<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let FetchRequest { url, timeout_ms, max_bytes } = call.json()?;
    let mut request = call.outbound(OutboundRequest::get(url));
    request.timeout_ms = timeout_ms.unwrap_or(request.timeout_ms);
    request.max_bytes = max_bytes.unwrap_or(request.max_bytes);
    Reply::json(&match call.platform.http().send(Trust::Configured, request).await {
        Ok(response) => json!({"status": response.status, "bytes": response.body.len()}),
        Err(error) => json!({"error": error.to_string()}),
    })
}

/// POST /contract/services
pub async fn services<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let answer: Value = call.ask(&INTERNAL_KEYS, &json!({})).await??;
    Reply::json(&answer)
}

/// POST /contract/maintain
pub async fn maintain<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let woken = call.platform.entities().maintain::<Counter>(100).await?;
    Reply::json(&json!({ "woken": woken }))
}

/// POST /contract/trap/{how}
#[allow(clippy::panic, reason = "what it is for")]
pub async fn trap<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    match last(&call).as_str() {
        "panic" => panic!("on purpose"),
        _ => std::process::abort(),
    }
}
