//! Signs of an attack, read from the audit log as it is sealed.
//!
//! | sign | when |
//! |---|---|
//! | `many_failures` | ten refused sign-ins of one account, or fifty from one network, within an hour |
//! | `token_reuse` | a code or refresh token came a second time: two have it |
//! | `openid_replay` | a Matrix OpenID token came a second time |
//! | `assertion_replay` | so did a SAML assertion |
//! | `new_homeserver` | the first person of a homeserver signed in |
//! | `suspended_by_limits` | a person exceeded so many limits that they have to wait |
//! | `log_changed` | rows of long ago came without a seal |
//!
//! A sign about one account, network or server is noticed once an hour: whoever can cause one could bury others under it.

use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use tmcp_http::{Failure, audit, sha256_hex};
use tmcp_ports::{Platform, Sql, stmt};
use tmcp_protocol::Millis;
use tmcp_protocol::audit::{AuditRow, Place};

/// Refused sign-ins within an hour.
const OF_ONE_ACCOUNT: i64 = 10;
const FROM_ONE_NETWORK: i64 = 50;
const HOUR_MS: i64 = 60 * 60 * 1000;
/// New homeservers that a portion asks about at most.
const MOST: usize = 50;

/// A sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sign {
    id: String,
    /// Its name.
    pub name: &'static str,
    about: Option<String>,
    address: Option<String>,
    detail: Value,
}

impl Sign {
    fn new(name: &'static str, at: &Place, about: Option<&str>, detail: Value) -> Self {
        let hash = sha256_hex(format!("{}\n{name}\n{}", at.seal, about.unwrap_or_default()));
        let id = format!("aud_{}", hash.get(..26).unwrap_or(&hash));
        Self { id, name, about: about.map(str::to_owned), address: None, detail }
    }

    /// As a row of the log.
    pub fn row(&self, now: Millis) -> Value {
        json!({"id": self.id, "at": now, "action": format!("attack.{}", self.name), "target": self.about, "address": self.address,
            "detail": self.detail.to_string()})
    }
}

fn is_refused_sign_in(row: &AuditRow) -> bool {
    row.outcome == "refused" && row.action.starts_with("sign_in.")
}

/// What one row says by itself.
fn by_itself(row: &AuditRow, at: &Place) -> Option<Sign> {
    let from = json!({"action": row.action, "address": row.address});
    if row.outcome == "refused" && row.action.ends_with(".reuse") {
        return Some(Sign::new("token_reuse", at, row.actor.as_deref(), from));
    }
    if row.action == "user.suspend" && row.actor.as_deref() == Some("limits") {
        return Some(Sign::new("suspended_by_limits", at, row.target.as_deref(), from));
    }
    let detail: Value = row.detail.as_ref().and_then(|text| serde_json::from_slice(text.as_bytes()).ok()).unwrap_or_default();
    let name = match detail.get("reason").and_then(Value::as_str) {
        Some("OpenID token used before") => "openid_replay",
        Some("assertion used before") => "assertion_replay",
        _ => return None,
    };
    is_refused_sign_in(row).then(|| Sign::new(name, at, row.target.as_deref(), from))
}

/// How often sign-ins of an account, or from a network, were refused.
#[derive(Deserialize)]
struct Failures {
    name: String,
    count: i64,
}

/// What a portion of the log is signs of; `late` rows of it came without the seal that they should have had long ago.
pub async fn of<P: Platform>(platform: &P, sealed: &[(AuditRow, Place)], late: usize) -> Result<Vec<Sign>, Failure> {
    let Some((last, place)) = sealed.last() else { return Ok(Vec::new()) };
    let since = last.at.plus(-HOUR_MS);
    let mut signs: Vec<Sign> = sealed.iter().filter_map(|(row, at)| by_itself(row, at)).collect();
    if late > 0 {
        signs.push(Sign::new("log_changed", place, None, json!({ "rows": late })));
    }
    let refused = || sealed.iter().map(|(row, _)| row).filter(|row| is_refused_sign_in(row));
    let accounts: BTreeSet<&String> = refused().filter_map(|row| row.target.as_ref()).collect();
    let networks: BTreeSet<&String> = refused().filter_map(|row| row.address.as_ref()).collect();
    for (names, statement, limit, is_account) in
        [(accounts, audit::FAILURES_OF, OF_ONE_ACCOUNT, true), (networks, audit::FAILURES_FROM, FROM_ONE_NETWORK, false)]
    {
        let found: Vec<Failures> = platform.sql().rows(stmt!(statement, json!(names).to_string(), since)).await?;
        for Failures { name, count } in found.into_iter().filter(|failures| failures.count >= limit) {
            let by = if is_account { "account" } else { "network" };
            let detail = json!({"within_seconds": HOUR_MS / 1000, "count": count, "by": by});
            let mut sign = Sign::new("many_failures", place, Some(&name), detail);
            if !is_account {
                sign.address = sign.about.take();
            }
            signs.push(sign);
        }
    }
    let mut servers: BTreeMap<&String, &(AuditRow, Place)> = BTreeMap::new();
    for entry in sealed.iter().filter(|(row, _)| row.action == "sign_in.matrix.first") {
        if let Some(server) = &entry.0.target {
            servers.entry(server).or_insert(entry);
        }
    }
    for (server, (row, at)) in servers.into_iter().take(MOST) {
        let before = platform.sql().query(stmt!(audit::SERVER_BEFORE, server.as_str(), row.id.as_str())).await?;
        if before.is_empty() {
            signs.push(Sign::new("new_homeserver", at, Some(server), json!({})));
        }
    }
    unheard(platform, signs, since).await
}

/// Without those that were noticed within the hour, and each once.
async fn unheard<P: Platform>(platform: &P, signs: Vec<Sign>, since: Millis) -> Result<Vec<Sign>, Failure> {
    let mut seen = BTreeSet::new();
    let signs: Vec<Sign> =
        signs.into_iter().filter(|sign| seen.insert((sign.name, sign.about.clone(), sign.address.clone()))).collect();
    if signs.is_empty() {
        return Ok(signs);
    }
    let keys: Vec<Value> = signs.iter().map(|sign| sign.row(since)).collect();
    let noticed = platform.sql().query(stmt!(audit::NOTICED, json!(keys).to_string(), since)).await?;
    let noticed: BTreeSet<i64> = noticed.iter().filter_map(|row| row.get("n").and_then(|n| n.as_i64())).collect();
    Ok((0..).zip(signs).filter(|(n, _)| !noticed.contains(n)).map(|(_, sign)| sign).collect())
}
