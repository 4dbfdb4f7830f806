//! GET /ops/metrics: what was counted and what waits, in Prometheus' text format (version 0.0.4).

use crate::status;
use std::collections::BTreeMap;
use std::fmt::Write;
use tmcp_http::metrics::{self, BUCKETS_MS, Counter};
use tmcp_http::status::Status;
use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::Platform;
use tmcp_protocol::ErrorCode;

const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The handler.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let counters = metrics::read(&call.platform).await?;
    let functions = status::of_all(&call, true).await;
    Ok(Reply::text(CONTENT_TYPE, page(&counters, &functions)))
}

/// One family of samples under its name.
struct Family {
    name: &'static str,
    kind: &'static str,
    help: &'static str,
    lines: String,
}

impl Family {
    const fn new(name: &'static str, kind: &'static str, help: &'static str) -> Self {
        Self { name, kind, help, lines: String::new() }
    }

    fn sample(&mut self, suffix: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
        let _ = writeln!(self.lines, "{}{suffix}{{{}}} {value}", self.name, labels.join(","));
    }

    fn print(&self, page: &mut String) {
        let Self { name, kind, help, lines } = self;
        let _ = write!(page, "# HELP {name} {help}\n# TYPE {name} {kind}\n{lines}");
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// The duration classes of one route.
#[derive(Default)]
struct Durations {
    by_class: BTreeMap<String, i64>,
    count: i64,
    ms: i64,
}

/// Thousandths, exactly: a metric that grows for ever outgrows a short float.
fn seconds(ms: i64) -> String {
    let ms = ms.max(0);
    format!("{}.{:03}", ms / 1000, ms % 1000)
}

fn page(counters: &[Counter], functions: &[(&'static str, Status)]) -> String {
    let mut requests = Family::new("tmcp_requests_total", "counter", "Requests that were answered.");
    let mut durations = Family::new("tmcp_request_duration_seconds", "histogram", "Time from a request's arrival to its answer.");
    let mut errors = Family::new("tmcp_errors_total", "counter", "Answers with an error, by its code.");
    let mut limits = Family::new("tmcp_limits_hit_total", "counter", "Requests that a rate limit or a quota refused.");
    let mut conflicts = Family::new("tmcp_entity_conflicts_total", "counter", "Decisions made again because another came first.");
    let mut outbox = Family::new("tmcp_outbox_depth", "gauge", "Records that wait for work to be done, by queue.");
    let mut up = Family::new("tmcp_up", "gauge", "Whether a function and all that it depends on answer.");
    let mut signs = Family::new("tmcp_attack_signs_total", "counter", "Signs of an attack, noticed in the audit log.");
    let mut build = Family::new("tmcp_build_info", "gauge", "The version that answers.");

    let (mut by_status, mut by_route) = (BTreeMap::new(), BTreeMap::<_, Durations>::new());
    for counter in counters {
        let labels: Vec<String> = serde_json::from_slice(counter.labels.as_bytes()).unwrap_or_default();
        match (counter.kind.as_str(), labels.as_slice()) {
            ("request", [function, method, route, status, class]) => {
                *by_status.entry([function, method, route, status].map(Clone::clone)).or_default() += counter.count;
                let route = by_route.entry([function, method, route].map(Clone::clone)).or_default();
                *route.by_class.entry(class.clone()).or_default() += counter.count;
                route.count += counter.count;
                route.ms += counter.amount;
            }
            ("error", [function, code]) => {
                errors.sample("", &[("function", function), ("code", code)], counter.count);
                let limit = match code.as_str() {
                    code if code == ErrorCode::RateLimitExceeded.as_str() => Some("rate"),
                    code if code == ErrorCode::StorageQuotaExceeded.as_str() => Some("storage_quota"),
                    _ => None,
                };
                if let Some(limit) = limit {
                    limits.sample("", &[("function", function), ("limit", limit)], counter.count);
                }
            }
            ("sign", [sign]) => signs.sample("", &[("sign", sign)], counter.count),
            ("conflict", [function]) => conflicts.sample("", &[("function", function)], counter.count),
            _ => {}
        }
    }
    for ([function, method, route, status], count) in &by_status {
        let count: &i64 = count;
        requests.sample("", &[("function", function), ("method", method), ("route", route), ("status", status)], count);
    }
    for ([function, method, route], Durations { by_class, count, ms }) in &by_route {
        let labels = [("function", function.as_str()), ("method", method), ("route", route)];
        let mut below = 0;
        for end in BUCKETS_MS {
            below += by_class.get(&end.to_string()).copied().unwrap_or_default();
            let end = seconds(end);
            durations.sample("_bucket", &[&labels[..], &[("le", end.as_str())]].concat(), below);
        }
        durations.sample("_bucket", &[&labels[..], &[("le", "+Inf")]].concat(), count);
        durations.sample("_sum", &labels, seconds(*ms));
        durations.sample("_count", &labels, count);
    }
    for (function, status) in functions {
        let well = status.checks.iter().all(|check| check.problem.is_none());
        up.sample("", &[("function", function)], u8::from(well));
        for (queue, depth) in &status.waiting {
            outbox.sample("", &[("queue", queue)], depth);
        }
    }
    build.sample("", &[("version", env!("CARGO_PKG_VERSION"))], 1);

    let mut page = String::new();
    for family in [&requests, &durations, &errors, &limits, &conflicts, &signs, &outbox, &up, &build] {
        family.print(&mut page);
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;
    use tmcp_http::status::Check;

    fn counter(kind: &str, labels: &str, count: i64, amount: i64) -> Counter {
        Counter { kind: kind.to_owned(), labels: labels.to_owned(), count, amount }
    }

    #[test]
    fn histograms_add_up_and_labels_cannot_break_out() {
        let counters = [
            counter("request", r#"["storage","GET","/a","200","5"]"#, 3, 9),
            counter("request", r#"["storage","GET","/a","200",""]"#, 1, 20_000),
            counter("request", r#"["storage","GET","/a","429","50"]"#, 2, 61),
            counter("error", r#"["storage","RATE_LIMIT_EXCEEDED"]"#, 2, 0),
            counter("conflict", r#"["auth\"} 1"]"#, 7, 0),
            counter("sign", r#"["token_reuse"]"#, 2, 0),
        ];
        let sick = Status {
            checks: vec![Check { name: "database".to_owned(), problem: Some("down".to_owned()) }],
            waiting: BTreeMap::from([("storage_garbage".to_owned(), 4)]),
        };
        let page = page(&counters, &[("auth", Status::default()), ("storage", sick)]);
        for line in [
            "# TYPE tmcp_request_duration_seconds histogram",
            r#"tmcp_requests_total{function="storage",method="GET",route="/a",status="200"} 4"#,
            r#"tmcp_request_duration_seconds_bucket{function="storage",method="GET",route="/a",le="0.005"} 3"#,
            r#"tmcp_request_duration_seconds_bucket{function="storage",method="GET",route="/a",le="0.050"} 5"#,
            r#"tmcp_request_duration_seconds_bucket{function="storage",method="GET",route="/a",le="10.000"} 5"#,
            r#"tmcp_request_duration_seconds_bucket{function="storage",method="GET",route="/a",le="+Inf"} 6"#,
            r#"tmcp_request_duration_seconds_sum{function="storage",method="GET",route="/a"} 20.070"#,
            r#"tmcp_request_duration_seconds_count{function="storage",method="GET",route="/a"} 6"#,
            r#"tmcp_limits_hit_total{function="storage",limit="rate"} 2"#,
            r#"tmcp_entity_conflicts_total{function="auth\"} 1"} 7"#,
            r#"tmcp_attack_signs_total{sign="token_reuse"} 2"#,
            r#"tmcp_outbox_depth{queue="storage_garbage"} 4"#,
            r#"tmcp_up{function="auth"} 1"#,
            r#"tmcp_up{function="storage"} 0"#,
        ] {
            assert!(page.lines().any(|found| found == line), "{line}\n{page}");
        }
    }
}
