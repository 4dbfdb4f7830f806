//! Counts, costs, growth and starts.

use std::fmt::Write;

use crate::bench::cost::{self, Bill};
use crate::bench::report::figure;
use crate::bench::results::{Grown, Results, Spread};
use crate::bench::scenario::SCENARIOS;
use crate::bench::target;

/// The counts of the table, by name and heading. A batch is one call with several statements.
const COLUMNS: &[(&[&str], &str)] = &[
    (&["service_calls"], "Worker hops"),
    (&["object_calls"], "object hops"),
    (&["object_rows_read", "object_rows_written"], "object rows r+w"),
    (&["d1_calls"], "SQL calls"),
    (&["d1_statements"], "SQL statements"),
    (&["d1_rows_read"], "SQL rows read"),
    (&["d1_rows_written"], "SQL rows written"),
    (&["kv_reads"], "KV reads"),
    (&["kv_writes", "kv_deletes", "kv_lists"], "KV writes"),
];

fn title(target: &str) -> &str {
    target::named(target).map_or(target, |target| target.title)
}

/// What a request asks of the platform.
pub fn counts(out: &mut String, results: &Results) {
    if results.counts.is_empty() {
        return;
    }
    out.push_str("## What one request asks of the platform\n\nCounted by the runtimes while the requests ran, on the average of some hundred. SQL is D1 on Workers and SQLite on Spin, whose host \
         knows no rows; an entity is a Durable Object on Workers and a row on Spin.\n\n| scenario | target |");
    COLUMNS.iter().for_each(|(_, heading)| {
        let _ = write!(out, " {heading} |");
    });
    let _ = writeln!(out, "\n|---|---|{}", "---|".repeat(COLUMNS.len()));
    for scenario in SCENARIOS {
        for counted in results.counts.iter().filter(|counted| counted.scenario == scenario.name) {
            let _ = write!(out, "| {} | {} |", scenario.title, title(&counted.target));
            for (names, _) in COLUMNS {
                let sum: f64 = names.iter().map(|name| counted.get(name)).sum();
                let known = names.iter().any(|name| counted.per_request.contains_key(*name));
                let shown = if known { trimmed(sum) } else { "–".to_owned() };
                let _ = write!(out, " {shown} |");
            }
            out.push('\n');
        }
    }
    out.push('\n');
}

/// Two digits after the point at most.
fn trimmed(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// What a million requests cost.
pub fn cost(out: &mut String, results: &Results) {
    if results.counts.is_empty() {
        return;
    }
    let _ = writeln!(
        out,
        "## What a million requests cost\n\nUS dollars by Cloudflare's price list as of {}, on the paid plan beyond what it includes. CPU \
         is what was measured here, Miniflare's D1, KV and objects with it, and so more than Cloudflare would bill; an object is taken to be \
         awake for {:.0} ms a call.\n",
        cost::READ_ON,
        cost::OBJECT_CALL_S * 1e3
    );
    out.push_str("| scenario | target | requests | CPU | D1, KV, objects | sum |\n|---|---|---|---|---|---|\n");
    for scenario in SCENARIOS {
        // Cloudflare's prices are for Workers.
        let on_workers = |target: &str| target::named(target).is_some_and(|target| target.host.is_workers());
        for counted in results.counts.iter().filter(|c| c.scenario == scenario.name && on_workers(&c.target)) {
            let cpu = Spread::of(results.of(scenario.name, &counted.target).filter_map(|sample| sample.measured.server_cpu_us));
            let Some(cpu) = cpu else { continue };
            let bill = Bill::of(counted, cpu.median / 1e3);
            let _ = writeln!(
                out,
                "| {} | {} | {:.2} | {:.2} | {:.2} | {:.2} |",
                scenario.title,
                title(&counted.target),
                bill.requests,
                bill.cpu,
                bill.platform,
                bill.sum()
            );
        }
    }
    let prices: Vec<String> = cost::PRICES.iter().map(|price| format!("{} {}", price.what, price.dollars)).collect();
    let _ = writeln!(
        out,
        "\nDollars for a million: requests {}, milliseconds of CPU {}, {}, gigabyte-seconds of an object {}. Sources: {}.\n",
        cost::REQUESTS,
        cost::CPU_MS,
        prices.join(", "),
        cost::OBJECT_GB_S,
        cost::SOURCES.join(", ")
    );
}

/// Gets and puts among many keys.
pub fn growth(out: &mut String, results: &Results) {
    if results.growth.is_empty() {
        return;
    }
    out.push_str(
        "## Growth\n\nOurs on Workers, entered directly: 16 people get and put their 62 keys of 100 bytes among so many live keys of all. \
         Those of the others were written into the database's file by SQL while no server had it open, rows like the product's, a thousand \
         keys a person, spread over the whole range of ids.\n\n",
    );
    out.push_str("| keys | get/s | get p99 ms | put/s | put p99 ms |\n|---|---|---|---|---|\n");
    let mut sizes: Vec<u64> = results.growth.iter().map(|grown| grown.keys).collect();
    sizes.sort_unstable();
    sizes.dedup();
    for keys in sizes {
        let _ = write!(out, "| {} |", thousands(keys));
        for operation in ["get", "put"] {
            let rounds: Vec<&Grown> = at(results, operation, keys).collect();
            let throughput = Spread::of(rounds.iter().map(|grown| grown.measured.throughput));
            #[allow(clippy::cast_precision_loss, reason = "microseconds of a request")]
            let p99 = Spread::of(rounds.iter().map(|grown| grown.measured.p99_us as f64 / 1e3));
            let shown = |spread: Option<Spread>| {
                spread.map_or_else(String::new, |s| format!("{} ({}–{})", figure(s.median), figure(s.min), figure(s.max)))
            };
            let _ = write!(out, " {} | {} |", shown(throughput), shown(p99));
        }
        out.push('\n');
    }
    out.push('\n');
}

fn at<'a>(results: &'a Results, operation: &'a str, keys: u64) -> impl Iterator<Item = &'a Grown> {
    results.growth.iter().filter(move |grown| grown.operation == operation && grown.keys == keys)
}

/// The throughput at the most keys over that at the fewest.
pub fn growth_ratio(results: &Results, operation: &str) -> Option<(String, String, f64)> {
    let keys = || results.growth.iter().filter(|grown| grown.operation == operation).map(|grown| grown.keys);
    let (fewest, most) = (keys().min()?, keys().max()?);
    let throughput = |keys| Spread::of(at(results, operation, keys).map(|grown| grown.measured.throughput));
    (fewest < most).then_some(())?;
    Some((thousands(fewest), thousands(most), throughput(most)?.median / throughput(fewest)?.median))
}

fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}

/// Cold starts and modules.
pub fn starts(out: &mut String, results: &Results) {
    if results.starts.is_empty() {
        return;
    }
    out.push_str(
        "## Starts\n\nFrom the server's process (on Workers: Node, which starts workerd) to the first 200 of a stored value; then the first \
         request alone, in a fresh isolate (on Spin every request has a fresh instance), and the second. Milliseconds: median, smallest, \
         largest.\n\n",
    );
    out.push_str("| target | process to first 200 | first request | second request |\n|---|---|---|---|\n");
    for target in target::TARGETS {
        let of = |value: fn(&crate::bench::results::Start) -> f64| {
            Spread::of(results.starts.iter().filter(|start| start.target == target.name).map(value))
        };
        let shown = |s: Spread| format!("{} ({}–{})", figure(s.median), figure(s.min), figure(s.max));
        if let (Some(whole), Some(first), Some(second)) = (of(|s| s.to_first_ms), of(|s| s.first_ms), of(|s| s.second_ms)) {
            let host = target.host.name();
            let _ = writeln!(out, "| {host} | {} | {} | {} |", shown(whole), shown(first), shown(second));
        }
    }
    out.push('\n');
    for counted in results.counts.iter().filter(|counted| counted.get("instantiate_us") > 0.0 && counted.scenario == "get-1k") {
        let each = counted.get("instantiate_us") / counted.get("requests").max(1.0);
        let _ =
            writeln!(out, "{}: instantiating a component takes {} µs for every request.\n", title(&counted.target), figure(each));
    }
    if results.modules.is_empty() {
        return;
    }
    out.push_str(
        "What a module costs in Node's V8, median of some times: `WebAssembly.compile` and `WebAssembly.instantiate` with imports that do \
         nothing.\n\n| function | KiB | compile ms | instantiate ms |\n|---|---|---|---|\n",
    );
    for module in &results.modules {
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} |",
            module.name,
            module.bytes >> 10,
            figure(module.compile_ms),
            figure(module.instantiate_ms)
        );
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(thousands(1_000_000), "1 000 000");
        assert_eq!(thousands(100), "100");
        assert_eq!(trimmed(2.0), "2");
        assert_eq!(trimmed(1.56), "1.56");
    }
}
