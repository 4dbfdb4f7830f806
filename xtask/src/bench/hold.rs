//! `--hold`: one target's server by itself, for a profiler.

use std::time::Duration;

use anyhow::{Context, Result};

use crate::bench::load::Load;
use crate::bench::results::Results;
use crate::bench::scenario::SCENARIOS;
use crate::bench::target::Target;
use crate::bench::{Effort, measure, server};
use crate::interrupt;
use crate::paths::Paths;
use crate::progress::Progress;

/// Long enough to look at.
const EFFORT: Effort = Effort { rounds: 1, warmup_ms: 1_000, window_ms: 20_000, starts: 0, most_keys: 0 };

/// Serves until Ctrl-C, and prints the commands that put load on it.
pub fn run(paths: &Paths, target: &'static Target, progress: &Progress) -> Result<()> {
    let load = Load::build(paths, progress)?;
    let mut results = Results::begin(paths, EFFORT, None);
    let servers = server::start_all(paths, &[target], &mut results, progress)?;
    let server = servers.first().with_context(|| results.missing.join("; "))?;
    measure::prime(&load, server, EFFORT)?;
    println!("{} is up: the process tree of {}", target.title, server.pid());
    for (name, url) in server.urls() {
        println!("  {url}  {name}");
    }
    for scenario in SCENARIOS.iter().filter(|scenario| scenario.ask.is_served_by(target.kind)) {
        let plan = server.plan(target, scenario.ask, EFFORT)?;
        println!("{}:\n  {}", scenario.name, load.by_hand(&plan, scenario.name)?);
    }
    println!("Ctrl-C ends it.");
    while !interrupt::stop_wanted() {
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}
