//! One table for each scenario: every target, with its spread over the rounds and its ratios.

use std::fmt::Write;

use crate::bench::report::figure;
use crate::bench::results::{Results, Spread};
use crate::bench::scenario::SCENARIOS;
use crate::bench::target::{TARGETS, Target};

/// All of them.
pub fn write(out: &mut String, results: &Results) {
    out.push_str("## Scenarios\n\n");
    out.push_str(
        "Throughput, latency and CPU are the median of the rounds, with the smallest and the largest in brackets. \"of no-op\" is the \
         throughput as a part of the no-op function's on the same runtime. A core that is not busy waits, for the disk above all.\n\n",
    );
    for scenario in SCENARIOS {
        let rows: Vec<String> = TARGETS.iter().filter_map(|target| row(results, scenario.name, target)).collect();
        if rows.is_empty() {
            continue;
        }
        let _ = writeln!(out, "### {} (`{}`)\n", scenario.title, scenario.name);
        out.push_str("| target | requests/s | median ms | p99 ms | CPU µs/request | core busy | memory MiB | of no-op |\n");
        out.push_str("|---|---|---|---|---|---|---|---|\n");
        rows.iter().for_each(|row| out.push_str(row));
        out.push('\n');
    }
}

fn row(results: &Results, scenario: &str, target: &Target) -> Option<String> {
    let spread = |value: fn(&crate::bench::load::Measured) -> Option<f64>| {
        Spread::of(results.of(scenario, target.name).filter_map(|sample| value(&sample.measured)))
    };
    #[allow(clippy::cast_precision_loss, reason = "microseconds and bytes of one machine")]
    let cells =
        [spread(|m| Some(m.throughput))?, spread(|m| Some(m.p50_us as f64 / 1e3))?, spread(|m| Some(m.p99_us as f64 / 1e3))?];
    let cpu = spread(|m| m.server_cpu_us).map_or_else(String::new, shown);
    let busy = spread(|m| m.server_cpu_share).map_or_else(String::new, |share| format!("{:.0} %", share.median * 100.0));
    #[allow(clippy::cast_precision_loss, reason = "bytes of one machine")]
    let memory = spread(|m| m.server_rss.map(|rss| rss as f64 / f64::from(1 << 20)));
    let memory = memory.map_or_else(String::new, |memory| format!("{:.0}", memory.max));
    let noop = if target.host.is_spin() { "spin-noop" } else { "workers-noop" };
    let is_one_of_them = target.host.is_spin() || target.host.is_workers();
    let part = is_one_of_them.then(|| ratio(results, scenario, target.name, noop)).flatten();
    let part = part.map_or_else(String::new, |part| format!("{:.3}", part.median));
    let cells: Vec<String> = cells.into_iter().map(shown).collect();
    Some(format!("| {} | {} | {cpu} | {busy} | {memory} | {part} |\n", target.title, cells.join(" | ")))
}

fn shown(spread: Spread) -> String {
    format!("{} ({}–{})", figure(spread.median), figure(spread.min), figure(spread.max))
}

/// Throughput of one target over another's, round by round.
pub fn ratio(results: &Results, scenario: &str, target: &str, to: &str) -> Option<Spread> {
    let of = |name| results.of(scenario, name).map(|sample| (sample.round, sample.measured.throughput));
    let others: Vec<(usize, f64)> = of(to).collect();
    Spread::of(of(target).filter_map(|(round, throughput)| {
        let (_, other) = others.iter().find(|(other, _)| *other == round)?;
        (*other > 0.0).then(|| throughput / other)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_of_the_same_round() {
        let results = crate::bench::report::tests::example();
        let ratio = ratio(&results, "get-1k", "workers-direct", "workers-noop").unwrap();
        assert_eq!((ratio.min, ratio.max), (0.1, 0.1));
    }

    #[test]
    fn a_target_without_samples_has_no_row() {
        let results = crate::bench::report::tests::example();
        assert!(row(&results, "get-1k", &TARGETS[0]).is_none());
        assert!(row(&results, "get-1k", &TARGETS[1]).unwrap().contains("| 0.100 |"));
    }
}
