//! The audit log: sealing it, noticing signs of an attack on the way, and taking old rows away; and GET /ops/audit, by which
//! `cargo xtask audit verify` reads it.
//!
//! ```text
//!  rows without a number ──▶ numbers, seals, signs ──one batch, if the head is where it was──▶ sealed; signs as rows; alerts to send
//! ```
//!
//! Whoever can write to the database, and has no key, finds here what would otherwise seal for them: the head has to be the last sealed row,
//! a row that lost its seal is a sign, and nothing is taken away that does not hold.
//!
//! The races: of two runs one moves the head, and the other's batch does nothing. What if it dies? The batch is done or it is not; a row
//! is judged once, in the batch that seals it.

use crate::signs::{self, Sign};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use tmcp_http::settings::{InvalidSetting, remembered, require};
use tmcp_http::{Call, Failure, Reply, audit, metrics};
use tmcp_ports::{Clock, Config, Platform, Sql, stmt};
use tmcp_protocol::Millis;
use tmcp_protocol::audit::{AuditRow, Place, Verifier, checkpoint, is_checkpoint, seal};
use tmcp_protocol::service::ServiceKeys;

/// Portions of 500 rows that one run seals at most: each costs some statements, and a request may make a thousand.
const ROUNDS: usize = 10;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// Days that a row is kept.
const KEPT_DAYS: i64 = 400;

/// The keys of the seals.
pub fn keys(platform: &impl Platform) -> Result<Arc<ServiceKeys>, InvalidSetting> {
    remembered(platform, "audit_key", |platform| require(platform.config(), "AUDIT_KEY", ServiceKeys::parse))
}

fn kept_ms(platform: &impl Platform) -> Result<i64, InvalidSetting> {
    let Some(value) = platform.config().get("AUDIT_DAYS") else { return Ok(KEPT_DAYS * DAY_MS) };
    let days = value.expose().parse::<i64>().ok().filter(|days| (1..=3650).contains(days));
    let problem = "must be a whole number from 1 to 3650".to_owned();
    days.map(|days| days * DAY_MS).ok_or(InvalidSetting { name: "AUDIT_DAYS", problem })
}

async fn head(platform: &impl Platform) -> Result<Place, Failure> {
    let row = platform.sql().first(stmt!(audit::HEAD)).await?;
    row.ok_or_else(|| Failure::internal("the audit log has no head"))
}

/// The last sealed row.
#[derive(Deserialize)]
struct Last {
    at: Millis,
    seq: i64,
    seal: String,
}

/// Where the log begins, if old rows went; refuses a checkpoint that is not ours.
async fn begins<P: Platform>(platform: &P) -> Result<Place, Failure> {
    let found: Option<Checkpoint> = platform.sql().first(stmt!(audit::CHECKPOINT)).await?;
    let Some(Checkpoint { seq, seal, signature }) = found else { return Ok(Place::default()) };
    let place = Place { seq, seal };
    match is_checkpoint(&*keys(platform)?, &place, &signature) {
        true => Ok(place),
        false => Err(Failure::unavailable("the audit log's checkpoint is not ours: somebody changed it")),
    }
}

/// Whether the head is where the log is; gives when its last row was written.
async fn checked<P: Platform>(platform: &P, head: &Place) -> Result<Option<Millis>, Failure> {
    let last: Option<Last> = platform.sql().first(stmt!(audit::LAST_SEALED, head.seq)).await?;
    match last {
        Some(last) if (last.seq, &last.seal) == (head.seq, &head.seal) => Ok(Some(last.at)),
        None if begins(platform).await? == *head => Ok(None),
        _ => Err(Failure::unavailable("the audit log's head is not its last row: somebody changed it")),
    }
}

/// A row that comes so much later than its time lost its seal.
const LATE_MS: i64 = 60 * 60 * 1000;

/// One portion; how many rows it sealed.
async fn seal_some<P: Platform>(platform: &P, alerts: bool) -> Result<usize, Failure> {
    let (keys, before) = (keys(platform)?, head(platform).await?);
    let rows: Vec<AuditRow> = platform.sql().rows(stmt!(audit::UNSEALED)).await?;
    let mut place = before.clone();
    let mut sealed: Vec<(AuditRow, Place)> = Vec::with_capacity(rows.len());
    for row in rows {
        place = seal(&keys, &place, &row).ok_or_else(|| Failure::internal("no key of the audit log"))?;
        sealed.push((row, place.clone()));
    }
    if sealed.is_empty() {
        return Ok(0);
    }
    let last = checked(platform, &before).await?;
    let late = |row: &AuditRow| last.is_some_and(|last| row.at < last.plus(-LATE_MS));
    let late = sealed.iter().filter(|(row, _)| late(row)).count();
    let signs = signs::of(platform, &sealed, late).await?;
    let list: Vec<Value> = sealed.iter().map(|(row, at)| json!({"id": row.id, "seq": at.seq, "seal": at.seal})).collect();
    let mut batch = vec![
        stmt!(audit::MOVE_HEAD, place.seq, place.seal.as_str(), before.seq, before.seal.as_str()),
        stmt!(audit::SEAL, json!(list).to_string(), place.seal.as_str()),
    ];
    if !signs.is_empty() {
        let now = platform.clock().now();
        let rows = json!(signs.iter().map(|sign| sign.row(now)).collect::<Vec<_>>()).to_string();
        batch.push(stmt!(audit::NOTICE, rows.as_str(), place.seal.as_str()));
        if alerts {
            batch.push(stmt!(audit::ALERT, rows.as_str(), place.seal.as_str(), now));
        }
        // A run that lost may count them once more: figures for a graph, not for a bill.
        batch.extend(signs.iter().map(|Sign { name, .. }| metrics::counted("sign", &[name], 1)));
    }
    platform.sql().batch(batch).await?;
    Ok(sealed.len())
}

/// Seals what is there; how many rows, and how far the log is sealed now.
pub async fn seal_all<P: Platform>(platform: &P) -> Result<(usize, Place), Failure> {
    let alerts = platform.config().get("ALERT_WEBHOOK").is_some();
    let mut all = 0;
    for _ in 0..ROUNDS {
        let some = seal_some(platform, alerts).await?;
        all += some;
        if some == 0 {
            break;
        }
    }
    Ok((all, head(platform).await?))
}

/// Takes away what is older than it has to be kept, and signs where the log begins from now on; nothing that does not hold.
pub async fn prune<P: Platform>(platform: &P) -> Result<(), Failure> {
    let now = platform.clock().now();
    let last: Option<Place> = platform.sql().first(stmt!(audit::OLDEST, now.plus(-kept_ms(platform)?))).await?;
    let Some(last) = last else { return Ok(()) };
    let (keys, mut at) = (keys(platform)?, begins(platform).await?);
    let mut verifier = Verifier::new(&keys, at.clone());
    while at.seq < last.seq {
        let rows: Vec<AuditRow> = platform.sql().rows(stmt!(audit::SEALED, at.seq)).await?;
        let Some(end) = rows.last().and_then(|row| row.seq) else { break };
        rows.iter().filter(|row| row.seq.is_some_and(|seq| seq <= last.seq)).for_each(|row| verifier.follow(row));
        at.seq = end;
    }
    let (end, problems) = verifier.end();
    if let Some(problem) = problems.first() {
        return Err(Failure::unavailable(format!("the audit log does not hold, so nothing of it is taken away: {problem}")));
    }
    if end != last {
        return Err(Failure::unavailable("the audit log changed while it was read"));
    }
    let signature = checkpoint(&keys, &last).ok_or_else(|| Failure::internal("no key of the audit log"))?;
    let put = stmt!(audit::PUT_CHECKPOINT, last.seq, last.seal.as_str(), signature, now);
    platform.sql().batch(vec![put, stmt!(audit::PRUNE)]).await?;
    Ok(())
}

#[derive(Deserialize)]
struct Checkpoint {
    seq: i64,
    seal: String,
    signature: String,
}

/// GET /ops/audit: 500 sealed rows behind the number `after`, where the log begins, and how far it is sealed.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let after = call.parameter("after").unwrap_or_else(|| "0".to_owned());
    let after: i64 = after.parse().map_err(|_| Failure::invalid("after must be the number of a row"))?;
    let rows: Vec<AuditRow> = call.platform.sql().rows(stmt!(audit::SEALED, after)).await?;
    let begins: Option<Checkpoint> = call.platform.sql().first(stmt!(audit::CHECKPOINT)).await?;
    let begins = begins.map(|it| json!({"seq": it.seq, "seal": it.seal, "signature": it.signature}));
    Reply::json(&json!({"rows": rows, "checkpoint": begins, "head": head(&call.platform).await?}))
}
