//! Signs of an attack, read from the audit log as it is sealed.
//!
//! | sign | when |
//! |---|---|
//! | `many_failures` | ten refused sign-ins of one account, or fifty from one network, within an hour |
//! | `token_reuse` | a code or refresh token came a second time: two have it |
//! | `openid_replay` | a Matrix OpenID token came a second time |
//! | `new_homeserver` | the first person of a homeserver signed in |

use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tmcp_http::{Failure, audit, sha256_hex};
use tmcp_ports::{Platform, Sql, stmt};
use tmcp_protocol::Millis;
use tmcp_protocol::audit::{AuditRow, Place};

/// Refused sign-ins within an hour.
const OF_ONE_ACCOUNT: i64 = 10;
const FROM_ONE_NETWORK: i64 = 50;
const HOUR_MS: i64 = 60 * 60 * 1000;
/// Accounts and networks that a portion asks about at most, those with the most failures in it first.
const MOST: usize = 20;

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
    fn new(name: &'static str, row: &AuditRow, at: &Place, detail: Value) -> Self {
        let hash = sha256_hex(format!("{}\n{name}", at.seal));
        let id = format!("aud_{}", hash.get(..26).unwrap_or(&hash));
        Self { id, name, about: row.target.clone(), address: row.address.clone(), detail }
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
    if row.outcome == "refused" && row.action.ends_with(".reuse") {
        let mut sign = Sign::new("token_reuse", row, at, json!({"action": row.action, "person": row.actor}));
        sign.about.clone_from(&row.actor);
        return Some(sign);
    }
    let detail: Value = row.detail.as_ref().and_then(|text| serde_json::from_slice(text.as_bytes()).ok()).unwrap_or_default();
    let is_replay = is_refused_sign_in(row) && detail.get("reason").and_then(Value::as_str) == Some("OpenID token used before");
    is_replay.then(|| Sign::new("openid_replay", row, at, json!({})))
}

#[derive(Deserialize)]
struct Failures {
    target: i64,
    address: i64,
}

/// Whether a count that grew by `here` reached `most` meanwhile.
fn crossed(count: i64, here: i64, most: i64) -> bool {
    count >= most && count - here < most
}

/// The failures of one account, or from one network, in a portion of the log.
struct Failed<'a> {
    is_account: bool,
    key: &'a str,
    here: i64,
    last: &'a (AuditRow, Place),
}

/// Those with the most of them.
fn most_failed(sealed: &[(AuditRow, Place)]) -> Vec<Failed<'_>> {
    let mut all: BTreeMap<(bool, &str), Failed<'_>> = BTreeMap::new();
    for last in sealed.iter().filter(|(row, _)| is_refused_sign_in(row)) {
        for (is_account, key) in [(true, &last.0.target), (false, &last.0.address)] {
            let Some(key) = key else { continue };
            let failed = all.entry((is_account, key)).or_insert(Failed { is_account, key, here: 0, last });
            (failed.here, failed.last) = (failed.here + 1, last);
        }
    }
    let mut most: Vec<Failed<'_>> = all.into_values().collect();
    most.sort_by_key(|failed| -failed.here);
    most.truncate(MOST);
    most
}

/// What a portion of the log is signs of.
pub async fn of<P: Platform>(platform: &P, sealed: &[(AuditRow, Place)]) -> Result<Vec<Sign>, Failure> {
    let mut signs: Vec<Sign> = sealed.iter().filter_map(|(row, at)| by_itself(row, at)).collect();
    for failed in most_failed(sealed) {
        let (target, address) = if failed.is_account { (Some(failed.key), None) } else { (None, Some(failed.key)) };
        let (row, at) = failed.last;
        let since = row.at.plus(-HOUR_MS);
        let found: Option<Failures> =
            platform.sql().first(stmt!(audit::FAILURES, target, address, since, row.id.as_str())).await?;
        let Some(found) = found else { continue };
        let (count, limit, by) = match failed.is_account {
            true => (found.target, OF_ONE_ACCOUNT, "account"),
            false => (found.address, FROM_ONE_NETWORK, "network"),
        };
        if crossed(count, failed.here, limit) {
            let detail = json!({"within_seconds": HOUR_MS / 1000, "count": count, "by": by});
            let mut sign = Sign::new("many_failures", row, at, detail);
            if failed.is_account {
                sign.address = None;
            } else {
                sign.about = None;
                sign.id.push('n');
            }
            signs.push(sign);
        }
    }
    for (row, at) in sealed.iter().filter(|(row, _)| row.action == "sign_in.matrix.first").take(MOST) {
        let Some(server) = &row.target else { continue };
        let before = platform.sql().query(stmt!(audit::SERVER_BEFORE, server.as_str(), row.id.as_str())).await?;
        if before.is_empty() {
            signs.push(Sign::new("new_homeserver", row, at, json!({})));
        }
    }
    Ok(signs)
}

#[cfg(test)]
mod tests {
    use super::crossed;

    #[test]
    fn a_count_reaches_its_end_once() {
        assert!(crossed(10, 1, 10) && crossed(12, 3, 10) && crossed(50, 50, 10));
        assert!(!crossed(9, 9, 10) && !crossed(11, 1, 10) && !crossed(30, 5, 10));
    }
}
