//! What it must reach, and whether it does.

use std::fmt::Write;

use crate::bench::GRANTS;
use crate::bench::report::extras::growth_ratio;
use crate::bench::report::tables::ratio;
use crate::bench::results::Results;
use crate::bench::scenario::SCENARIOS;

/// Ours, by one way in, over a peer that is entered the same way.
struct Aim {
    what: &'static str,
    ours: &'static str,
    peer: &'static str,
    least: f64,
}

/// Synapse has no gateway: it is compared with ours as people reach it.
const AIMS: &[Aim] = &[
    aim("the TypeScript peer's throughput, both through the gateway", "workers-gateway", "hono-gateway", 1.0),
    aim("the TypeScript peer's throughput, both entered directly", "workers-direct", "hono-direct", 1.0),
    aim("0.9 of the floor on Workers", "workers-direct", "workers-floor", 0.9),
    aim("0.9 of the floor on Spin", "spin", "spin-floor", 0.9),
    aim("ten times Synapse's account_data, on Workers", "workers-gateway", "synapse", 10.0),
    aim("ten times Synapse's account_data, on Spin", "spin", "synapse", 10.0),
    aim("five times Keycloak's grants, on Workers", "workers-gateway", "keycloak", 5.0),
    aim("five times Keycloak's grants, on Spin", "spin", "keycloak", 5.0),
    aim("oidc-provider's grants, on Workers", "workers-gateway", "oidc-provider", 1.0),
    aim("oidc-provider's grants, on Spin", "spin", "oidc-provider", 1.0),
];

const fn aim(what: &'static str, ours: &'static str, peer: &'static str, least: f64) -> Aim {
    Aim { what, ours, peer, least }
}

/// A line for each scenario of each aim.
pub fn write(out: &mut String, results: &Results) {
    let is_whole = results.publish.as_deref() != Some(GRANTS);
    out.push_str("## Aims\n\nRatios of throughput, round by round: median, smallest and largest.\n\n");
    out.push_str("| aim | scenario | ratio | |\n|---|---|---|---|\n");
    for aim in AIMS {
        let mut any = false;
        for scenario in SCENARIOS {
            if let Some(ratio) = ratio(results, scenario.name, aim.ours, aim.peer) {
                any = true;
                let _ = writeln!(
                    out,
                    "| {} | {} | {:.2} ({:.2}–{:.2}) | {} |",
                    aim.what,
                    scenario.title,
                    ratio.median,
                    ratio.min,
                    ratio.max,
                    verdict(ratio.median >= aim.least)
                );
            }
        }
        if !any && is_whole {
            let _ = writeln!(out, "| {} | | | not measured |", aim.what);
        }
    }
    for operation in ["get", "put"] {
        let what = format!("throughput of a {operation} loses no more than a fifth while keys grow");
        match growth_ratio(results, operation) {
            Some((from, to, ratio)) => {
                let _ = writeln!(out, "| {what} | {from} to {to} keys | {ratio:.2} | {} |", verdict(ratio >= 0.8));
            }
            None if !is_whole => {}
            None => {
                let _ = writeln!(out, "| {what} | | | not measured |");
            }
        }
    }
    out.push('\n');
}

fn verdict(reached: bool) -> &'static str {
    if reached { "reached" } else { "**not reached**" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aims_are_judged_by_their_median() {
        let mut out = String::new();
        write(&mut out, &crate::bench::report::tests::example());
        let line = |what: &str| out.lines().find(|line| line.contains(what)).unwrap().to_owned();
        assert!(line("floor on Workers").contains("| reached |"), "{out}");
        assert!(line("Synapse's account_data, on Workers").contains("not measured"), "{out}");
        assert!(line("of a get loses").contains("0.90 | reached"), "{out}");
        assert!(line("of a put loses").contains("not measured"), "{out}");
    }
}
