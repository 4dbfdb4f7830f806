//! Telling the operator of signs of an attack: `POST ALERT_WEBHOOK` with `{id, at, sign, about, address, detail, server}`, by maintenance.
//! Whatever answers 2xx has heard it. At least once: a repeated one has the same id. It is tried again after 1, 2, 4, … minutes, and
//! given up after ten tries; the row in the audit log stays.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use tmcp_http::{Failure, Settings, audit};
use tmcp_ports::{Clock, Config, HttpClient, Log, OutboundRequest, Platform, Sql, Trust, stmt};
use tmcp_protocol::Millis;

const TRIES: i64 = 10;

#[derive(Deserialize)]
struct AlertRow {
    id: String,
    attempts: i64,
    at: Option<Millis>,
    action: Option<String>,
    target: Option<String>,
    address: Option<String>,
    detail: Option<String>,
}

/// Sends what is due; how many were heard.
pub async fn send<P: Platform>(platform: &P, settings: &Settings) -> Result<usize, Failure> {
    let Some(url) = platform.config().get("ALERT_WEBHOOK") else { return Ok(0) };
    let now = platform.clock().now();
    let due: Vec<AlertRow> = platform.sql().rows(stmt!(audit::DUE_ALERTS, now)).await?;
    let mut heard = 0;
    for row in due {
        let sign = row.action.as_deref().unwrap_or_default().trim_start_matches("attack.").to_owned();
        let detail: Value = row.detail.and_then(|text| serde_json::from_slice(text.as_bytes()).ok()).unwrap_or_default();
        let body = json!({"id": row.id, "at": row.at.map(Millis::rfc3339), "sign": sign, "about": row.target, "address": row.address,
            "detail": detail, "server": settings.issuer});
        let mut request = OutboundRequest::get(url.expose()).header("content-type", "application/json");
        request.method = http::Method::POST;
        request.body = Bytes::from(body.to_string());
        let outcome = match platform.http().send(Trust::Configured, request).await {
            Ok(response) if (200..300).contains(&response.status) => Ok(()),
            Ok(response) => Err(format!("answered {}", response.status)),
            Err(error) => Err(error.to_string()),
        };
        let end = match outcome {
            Ok(()) => {
                heard += 1;
                stmt!(audit::END_ALERT, row.id)
            }
            Err(problem) if row.attempts + 1 >= TRIES => {
                let line = json!({"at": now.rfc3339(), "level": "error", "cause": format!("an alert was given up: {problem}"), "alert": row.id});
                platform.log().line(&line.to_string());
                stmt!(audit::END_ALERT, row.id)
            }
            Err(_) => stmt!(audit::DELAY_ALERT, row.id, now.plus(60_000 << row.attempts.clamp(0, 6))),
        };
        platform.sql().query(end).await?;
    }
    Ok(heard)
}
