//! POST /ops/maintenance: periodic work of every function. Any scheduler calls it (systemd or Kubernetes on Spin), and the `scheduled` event on
//! Workers does. Harmless when repeated or run twice at once.

use crate::{alerts, audit_log};
use serde_json::{Map, Value, json};
use tmcp_http::trace::{Trace, request_id};
use tmcp_http::{Call, Failure, Reply, Settings, internal};
use tmcp_ports::{Clock, Platform};
use tmcp_protocol::routes::{
    INTERNAL_MAINTAIN_ACCOUNT, INTERNAL_MAINTAIN_AUTH, INTERNAL_MAINTAIN_BROKER, INTERNAL_MAINTAIN_CONSENT,
    INTERNAL_MAINTAIN_DEVELOPER, INTERNAL_MAINTAIN_IDENTITY, INTERNAL_MAINTAIN_SAML, INTERNAL_MAINTAIN_STORAGE, Route,
};

/// Account and consent first: what they still have to end is auth's to forget.
const ROUTES: [&Route; 8] = [
    &INTERNAL_MAINTAIN_ACCOUNT,
    &INTERNAL_MAINTAIN_CONSENT,
    &INTERNAL_MAINTAIN_AUTH,
    &INTERNAL_MAINTAIN_BROKER,
    &INTERNAL_MAINTAIN_DEVELOPER,
    &INTERNAL_MAINTAIN_IDENTITY,
    &INTERNAL_MAINTAIN_SAML,
    &INTERNAL_MAINTAIN_STORAGE,
];

/// Asks every function in turn; tells what each answered, and whether all did.
pub async fn run<P: Platform>(platform: &P, settings: &Settings, trace: &Trace, request_id: &str) -> (bool, Value) {
    let (mut all, mut results) = (true, Map::new());
    for route in ROUTES {
        let answer = internal::ask::<P, Value>(platform, &settings.service_keys, trace, request_id, route, &json!({})).await;
        let result = match answer {
            Ok(Ok(result)) => result,
            Ok(Err(refused)) => {
                all = false;
                json!({"failed": refused.status})
            }
            Err(failure) => {
                all = false;
                json!({"failed": failure.code().as_str()})
            }
        };
        results.insert(route.function.as_str().to_owned(), result);
    }
    // Last: what the functions noted is sealed with it.
    match audited(platform, settings).await {
        Ok(result) => results.insert("audit".to_owned(), result),
        Err(failure) => {
            all = false;
            results.insert("audit".to_owned(), json!({"failed": failure.code().as_str(), "cause": failure.cause()}))
        }
    };
    (all, Value::Object(results))
}

/// The audit log's part. Whoever keeps what it answers, number and seal, knows what was there.
async fn audited<P: Platform>(platform: &P, settings: &Settings) -> Result<Value, Failure> {
    let (sealed, head) = audit_log::seal_all(platform).await?;
    audit_log::prune(platform).await?;
    let alerts = alerts::send(platform, settings).await?;
    Ok(json!({"sealed": sealed, "alerts": alerts, "head": head}))
}

/// The same without a request: the `scheduled` event.
pub async fn run_scheduled<P: Platform>(platform: &P) -> Result<(bool, Value), Failure> {
    let settings = Settings::of(platform, platform.clock().now())?;
    let trace = Trace::take_up(None, platform.random());
    let id = request_id(None, platform.random());
    Ok(run(platform, &settings, &trace, &id).await)
}

/// The handler.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let (all, results) = run(&call.platform, &call.settings, &call.trace, &call.request_id).await;
    if all {
        return Reply::json(&results);
    }
    Err(Failure::unavailable("a function failed").details(results))
}
