//! What is counted: every request, with its route, status and duration; every error code; every lost race over an entity. The one
//! module that reads and writes the table `metrics`.
//!
//! ```text
//!  answer ──▶ tally of the isolate ──▶ some seconds later, after a response ──▶ one upsert ──▶ metrics ──▶ GET /ops/metrics
//! ```
//!
//! On Workers an isolate counts in memory and writes a few times a minute; what it counted in the last seconds before it dies is lost.
//! On Spin a request is an instance of its own and writes what it counted, after its response. `METRICS_SAMPLE=n` counts one of n
//! requests, n times. A counter that cannot be written is lost: counting keeps no request waiting and fails none.

use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::PoisonError;
use tmcp_ports::{Memo, Platform, Random, Sql, SqlError, Statement, Tasks, stmt};
use tmcp_protocol::Millis;

/// Upper ends of the duration classes, in milliseconds; what takes longer is in the class without an end.
pub const BUCKETS_MS: [i64; 11] = [5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000];

/// Adds counts to what is there. The counters come as one JSON array, so that it is one statement however many they are.
const ADD: &str = "INSERT INTO metrics (kind, labels, count, amount) \
    SELECT j.value ->> 'kind', j.value ->> 'labels', j.value ->> 'count', j.value ->> 'amount' FROM json_each(?1) j WHERE true \
    ON CONFLICT (kind, labels) DO UPDATE SET count = count + excluded.count, amount = amount + excluded.amount";
const READ: &str = "SELECT kind, labels, count, amount FROM metrics ORDER BY kind, labels";

/// A writer that has not come by then was stopped with its request.
const GIVEN_UP_MS: i64 = 30_000;

/// Where an isolate keeps its tally.
const MEMO: &str = "metrics";

/// One request that was answered.
pub(crate) struct Answered<'a> {
    pub function: &'static str,
    pub route: &'static str,
    pub method: &'a http::Method,
    pub status: u16,
    pub ms: i64,
    pub code: Option<&'static str>,
    pub conflicts: u64,
}

/// A counter as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Counter {
    /// `request`, `error` or `conflict`.
    pub kind: String,
    /// A JSON array of texts, as the kind has them.
    pub labels: String,
    /// How often.
    pub count: i64,
    /// Milliseconds that the requests took together; 0 for other kinds.
    pub amount: i64,
}

/// What a counter counts. Its text is made when it is written, not at every request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Counted {
    /// `ms` is the class' upper end.
    Request {
        function: &'static str,
        method: &'static str,
        route: &'static str,
        status: u16,
        ms: Option<i64>,
    },
    Error {
        function: &'static str,
        code: &'static str,
    },
    Conflict {
        function: &'static str,
    },
}

impl Counted {
    fn kind(&self) -> &'static str {
        match self {
            Self::Request { .. } => "request",
            Self::Error { .. } => "error",
            Self::Conflict { .. } => "conflict",
        }
    }

    fn labels(&self) -> serde_json::Value {
        match *self {
            Self::Request { function, method, route, status, ms } => {
                json!([function, method, route, status.to_string(), ms.map(|end| end.to_string()).unwrap_or_default()])
            }
            Self::Error { function, code } => json!([function, code]),
            Self::Conflict { function } => json!([function]),
        }
    }
}

#[derive(Default)]
struct Tally {
    counts: BTreeMap<Counted, (i64, i64)>,
    /// Since when somebody is about to write what has gathered.
    leaving: Option<Millis>,
}

impl Tally {
    fn add(&mut self, counted: Counted, count: i64, amount: i64) {
        let entry = self.counts.entry(counted).or_default();
        entry.0 = entry.0.saturating_add(count);
        entry.1 = entry.1.saturating_add(amount);
    }

    fn take(&mut self) -> Option<String> {
        self.leaving = None;
        let counts = std::mem::take(&mut self.counts);
        let rows: Vec<_> = counts
            .into_iter()
            .map(|(counted, (count, amount))| {
                let labels = counted.labels().to_string();
                json!({"kind": counted.kind(), "labels": labels, "count": count, "amount": amount})
            })
            .collect();
        (!rows.is_empty()).then(|| serde_json::Value::Array(rows).to_string())
    }
}

/// A label that a caller cannot make up.
fn method_label(method: &http::Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        "HEAD" => "HEAD",
        _ => "other",
    }
}

/// A duration's class: its upper end in milliseconds; none for the last.
fn class(ms: i64) -> Option<i64> {
    BUCKETS_MS.into_iter().find(|end| ms <= *end)
}

/// How many requests one stands for; 0 where this one is not counted. Faults always are.
fn weight(platform: &impl Platform, sample: u32, status: u16) -> i64 {
    if sample <= 1 || status >= 500 {
        return 1;
    }
    let draw = u32::from_le_bytes(platform.random().bytes()) % sample;
    if draw == 0 { i64::from(sample) } else { 0 }
}

/// Counts a request that was answered now.
pub(crate) fn count<P: Platform>(platform: &P, sample: u32, now: Millis, answered: &Answered<'_>) {
    let weight = weight(platform, sample, answered.status);
    if weight == 0 {
        return;
    }
    let Answered { function, route, status, ms, .. } = *answered;
    let tally = platform.memo().kept::<Tally>(MEMO, now);
    let mut counts = tally.lock().unwrap_or_else(PoisonError::into_inner);
    let request = Counted::Request { function, method: method_label(answered.method), route, status, ms: class(ms) };
    counts.add(request, weight, ms.saturating_mul(weight));
    if let Some(code) = answered.code {
        counts.add(Counted::Error { function, code }, weight, 0);
    }
    if answered.conflicts > 0 {
        let conflicts = weight.saturating_mul(i64::try_from(answered.conflicts).unwrap_or(1));
        counts.add(Counted::Conflict { function }, conflicts, 0);
    }
    if counts.leaving.is_some_and(|since| now.0.saturating_sub(since.0) < GIVEN_UP_MS) {
        return;
    }
    counts.leaving = Some(now);
    drop(counts);
    let later = platform.clone();
    platform.tasks().gather(async move {
        let taken = tally.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(rows) = taken {
            // The next counters will tell; these are gone.
            let _ = later.sql().query(stmt!(ADD, rows)).await;
        }
    });
}

/// The statement that counts something by itself, for the batch in which it happened.
pub fn counted(kind: &str, labels: &[&str], count: usize) -> Statement {
    let labels = serde_json::json!(labels).to_string();
    stmt!(ADD, serde_json::json!([{"kind": kind, "labels": labels, "count": count, "amount": 0}]).to_string())
}

/// Every counter.
pub async fn read(platform: &impl Platform) -> Result<Vec<Counter>, SqlError> {
    platform.sql().rows(stmt!(READ)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_in_the_class_that_it_just_fits() {
        let classes: Vec<_> = [0, 5, 6, 10_000, 10_001].into_iter().map(class).collect();
        assert_eq!(classes, [Some(5), Some(5), Some(10), Some(10_000), None]);
    }

    #[test]
    fn counters_gather_until_they_are_taken() {
        let mut tally = Tally::default();
        let request = |ms| Counted::Request { function: "storage", method: "GET", route: "/x", status: 200, ms };
        tally.add(request(Some(5)), 1, 7);
        tally.add(request(Some(5)), 2, 3);
        tally.add(request(None), 1, 20_000);
        tally.leaving = Some(Millis(1));
        let taken: serde_json::Value = serde_json::from_str(&tally.take().unwrap()).unwrap();
        let row = |ms: &str, count: i64, amount: i64| {
            let labels = json!(["storage", "GET", "/x", "200", ms]).to_string();
            json!({"kind": "request", "labels": labels, "count": count, "amount": amount})
        };
        assert_eq!(taken, json!([row("", 1, 20_000), row("5", 3, 10)]));
        assert!(tally.take().is_none() && tally.leaving.is_none());
    }
}
