//! What a million requests cost by Cloudflare's price list.

use crate::bench::counts::Counted;

/// When the prices were read.
pub const READ_ON: &str = "2026-11-22";
/// Where.
pub const SOURCES: &[&str] = &[
    "https://developers.cloudflare.com/workers/platform/pricing/",
    "https://developers.cloudflare.com/d1/platform/pricing/",
    "https://developers.cloudflare.com/kv/platform/pricing/",
    "https://developers.cloudflare.com/durable-objects/platform/pricing/",
];

/// One line of the price list: US dollars for a million, on the paid plan beyond what it includes.
pub struct Price {
    /// What is paid for.
    pub what: &'static str,
    /// Dollars for a million.
    pub dollars: f64,
    /// The counts that it is paid for.
    pub counts: &'static [&'static str],
}

/// The price list. A Worker that is reached by a service binding costs CPU time alone; its request is free.
pub const PRICES: &[Price] = &[
    price("D1 rows read", 0.001, &["d1_rows_read"]),
    price("D1 rows written", 1.00, &["d1_rows_written"]),
    price("KV reads", 0.50, &["kv_reads"]),
    price("KV writes, deletes, lists", 5.00, &["kv_writes", "kv_deletes", "kv_lists"]),
    price("Durable Object requests", 0.15, &["object_calls"]),
    price("Durable Object SQLite rows read", 0.001, &["object_rows_read"]),
    price("Durable Object SQLite rows written", 1.00, &["object_rows_written"]),
];
/// A million requests from outside.
pub const REQUESTS: f64 = 0.30;
/// A million milliseconds of CPU.
pub const CPU_MS: f64 = 0.02;
/// A million gigabyte-seconds of a Durable Object in memory.
pub const OBJECT_GB_S: f64 = 12.50;
/// Memory that an object is billed for, in gigabytes.
const OBJECT_GB: f64 = 0.128;
/// How long a call is taken to keep its object awake; it is wall-clock time, which no local run can tell.
pub const OBJECT_CALL_S: f64 = 0.010;

const fn price(what: &'static str, dollars: f64, counts: &'static [&'static str]) -> Price {
    Price { what, dollars, counts }
}

/// The bill for a million requests.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bill {
    /// Requests from outside.
    pub requests: f64,
    /// CPU time.
    pub cpu: f64,
    /// D1, KV and Durable Objects.
    pub platform: f64,
}

impl Bill {
    /// For what was counted, with so many milliseconds of CPU per request.
    pub fn of(counted: &Counted, cpu_ms: f64) -> Self {
        let priced: f64 =
            PRICES.iter().map(|price| price.dollars * price.counts.iter().map(|name| counted.get(name)).sum::<f64>()).sum();
        let awake = counted.get("object_calls") * OBJECT_CALL_S * OBJECT_GB * OBJECT_GB_S;
        Self { requests: REQUESTS, cpu: CPU_MS * cpu_ms, platform: priced + awake }
    }

    /// All of it.
    pub fn sum(&self) -> f64 {
        self.requests + self.cpu + self.platform
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn a_million_requests_are_added_up() {
        let per_request =
            BTreeMap::from([("d1_rows_read", 10.0), ("d1_rows_written", 2.0), ("kv_writes", 1.0), ("object_calls", 1.0)]);
        let per_request = per_request.into_iter().map(|(name, count)| (name.to_owned(), count)).collect();
        let bill = Bill::of(&Counted { target: String::new(), scenario: String::new(), per_request }, 5.0);
        assert!((bill.platform - (0.01 + 2.0 + 5.0 + 0.15 + 0.016)).abs() < 1e-9, "{bill:?}");
        assert!((bill.sum() - (bill.platform + 0.30 + 0.10)).abs() < 1e-9);
    }
}
