//! The report: Markdown, made of the figures alone, so that it can be written again.

mod aims;
mod extras;
mod tables;

use std::fmt::Write;

use crate::bench::machine::{LOAD_CORE, SERVER_CORE};
use crate::bench::results::Results;
use crate::bench::{CONNECTIONS, TURNS, WHOLE};

/// The whole text; `notes` is what a person wrote about the costs.
pub fn text(results: &Results, notes: Option<&str>) -> String {
    let mut out = String::from("# Benchmark\n\n");
    out.push_str("Written by `cargo xtask bench`; do not edit. The text on costs is `bench/notes.md`.\n\n");
    if results.publish.is_none() {
        out.push_str("**This was a quick or partial run: its figures show that everything runs, and are rough.**\n\n");
    }
    let name = results.publish.as_deref().unwrap_or(WHOLE);
    let _ = writeln!(out, "![Requests per second]({name}.svg)\n");
    head(&mut out, results);
    aims::write(&mut out, results);
    if let Some(notes) = notes.filter(|_| name == WHOLE) {
        let _ = writeln!(out, "{}\n", notes.trim());
    }
    tables::write(&mut out, results);
    extras::counts(&mut out, results);
    extras::cost(&mut out, results);
    extras::growth(&mut out, results);
    extras::starts(&mut out, results);
    out.push_str(METHOD);
    out.trim_end().to_owned() + "\n"
}

fn head(out: &mut String, results: &Results) {
    let effort = results.effort;
    #[allow(clippy::cast_precision_loss, reason = "some thousands of milliseconds")]
    let seconds = effort.window_ms as f64 / 1000.0;
    let _ = writeln!(
        out,
        "{}. {} rounds of {seconds} s for each target in each scenario, in {TURNS} turns with the other targets in between; {CONNECTIONS} \
         kept-alive connections, each of which sends its next request when the last is answered.\n",
        results.date.get(..16).unwrap_or(&results.date).replace('T', " ") + " UTC",
        effort.rounds
    );
    for line in &results.machine.lines {
        let _ = writeln!(out, "- {line}");
    }
    let versions: Vec<String> = results.machine.versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
    let _ = writeln!(out, "- {}", versions.join(", "));
    let _ = writeln!(out, "- the servers' state lay on {}", results.disk);
    if let Some(spin) = &results.spin {
        let _ = writeln!(out, "- Spin applications run on: {spin}");
    }
    match results.pinned {
        true => {
            let _ =
                writeln!(out, "- servers are pinned to core {SERVER_CORE}, the load generator to core {LOAD_CORE} (`taskset`)");
        }
        false => out.push_str("- nothing was pinned: fewer than two cores, or no `taskset`\n"),
    }
    if let Some(ceiling) = &results.ceiling {
        let busiest = results.samples.iter().map(|sample| sample.measured.load_cpu_share).fold(0.0, f64::max);
        let fastest = results.samples.iter().map(|sample| sample.measured.throughput).fold(0.0, f64::max);
        let _ = writeln!(
            out,
            "- the load generator reaches {:.0}/s against a server that does nothing, {:.1} times the fastest target here; against no \
             target was it busy for more than {:.0} % of its core",
            ceiling.throughput,
            ceiling.throughput / fastest.max(1.0),
            busiest * 100.0
        );
    }
    for missing in &results.missing {
        let _ = writeln!(out, "- not measured: {missing}");
    }
    out.push('\n');
}

/// A number with as many digits as mean something.
pub fn figure(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

const METHOD: &str = "## What was measured how

- `cargo xtask bench` makes all of this again; `--quick` in some minutes and roughly, `--only SCENARIO` and `--targets TARGET` in part,
  `--hold TARGET` serves one target for a profiler.
- Workers run on workerd itself, started by `bench/serve/serve.mjs` through Miniflare's library; requests go to a socket of the Worker's
  own, so that neither `wrangler dev` nor Miniflare's entry is on the way. D1, KV and Durable Objects are Miniflare's, in the same
  process: their CPU and memory count as the server's. On Cloudflare they are elsewhere, and each call of them costs a network hop.
- People, the app and the tokens were made through the API with a real Synapse. Limits are widened by `LIMITS`, so that nothing is
  refused; the buckets are kept all the same. Values are ASCII text: 1 KiB lies in its row, 16 KiB in KV.
- Each person has a connection, and each connection an address of its own (127.0.1.n; Workers learn it from `CF-Connecting-IP`). Refresh tokens are used once: each connection walks along its own family.
- Every answer's status is checked, and a wrong one ends the run. Latency is from before a request is sent until its answer is whole.
- CPU is user and system time of the server's process tree, from `/proc`, over the window, divided by the answers in it. Memory is the
  resident memory of the tree at the window's end. For Workers the tree has Node in it, which only started workerd.
- Ratios are of the same round, and their median is given: what else the machine does falls on both, since in a round a scenario goes
  round its targets several times, for some seconds each; a throughput is the mean of these turns, a latency their median. On Spin
  each round has a fresh process, so that what is slow or fast about one does not look like its target's. On workerd a process stays, as
  the peers' do, since V8 compiles what is asked often for minutes, and has had each scenario for four windows before the first round.
- The no-op target is sent the very same requests, and answers 200 without reading them.
";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::Effort;
    use crate::bench::load::Measured;
    use crate::bench::machine::Machine;
    use crate::bench::results::{Grown, Sample};

    fn measured(throughput: f64) -> Measured {
        Measured {
            requests: 100,
            throughput,
            p50_us: 1500,
            p99_us: 9000,
            server_cpu_us: Some(1e6 / throughput),
            server_cpu_share: Some(1.0),
            server_rss: Some(100 << 20),
            load_cpu_share: 0.1,
            reopened: 0,
        }
    }

    pub(super) fn example() -> Results {
        let sample = |round, target: &str, throughput| Sample {
            round,
            scenario: "get-1k".into(),
            target: target.into(),
            measured: measured(throughput),
        };
        Results {
            date: "2026-11-22T08:00:00.000Z".into(),
            publish: Some(WHOLE.to_owned()),
            effort: Effort { rounds: 2, warmup_ms: 0, window_ms: 5000, starts: 0, most_keys: 10_000 },
            machine: Machine::default(),
            pinned: true,
            disk: "ext4".into(),
            spin: None,
            spin_counts: false,
            missing: vec!["spin-floor: there is no bench/floor/spin.toml".into()],
            ceiling: Some(measured(30_000.0)),
            samples: vec![
                sample(0, "workers-direct", 900.0),
                sample(1, "workers-direct", 1100.0),
                sample(0, "workers-floor", 950.0),
                sample(1, "workers-floor", 1000.0),
                sample(0, "workers-noop", 9000.0),
                sample(1, "workers-noop", 11000.0),
                sample(0, "synapse", 80.0),
                sample(1, "synapse", 200.0),
            ],
            counts: Vec::new(),
            starts: Vec::new(),
            modules: Vec::new(),
            growth: [(1_000, 500.0), (10_000, 450.0)]
                .into_iter()
                .map(|(keys, throughput)| Grown { keys, operation: "get".into(), round: 0, measured: measured(throughput) })
                .collect(),
        }
    }

    #[test]
    fn a_report_says_what_was_found_and_what_was_missing() {
        let text = text(&example(), Some("## Costs\n"));
        for part in ["2026-11-22 08:00 UTC", "not measured: spin-floor", "storage get, 1 KiB", "## Costs", "| 1 000 |"] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        // 900/950 and 1100/1000, in the middle.
        assert!(text.contains("1.02"), "{text}");
    }
}
