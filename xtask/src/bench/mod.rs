//! `cargo xtask bench`: what a request costs, beside its controls and peers, in one interleaved run.

mod cold;
mod cost;
mod counts;
mod growth;
mod hold;
mod load;
mod machine;
mod measure;
mod plot;
mod report;
mod results;
mod scenario;
mod seed;
mod server;
mod target;
mod workers;

use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::files;
use crate::paths::{self, Paths};
use crate::progress::{Progress, seconds};
use load::Load;
use results::Results;
use scenario::Scenario;
use target::Target;

/// Options of `bench`.
#[derive(Debug, Clone, Args)]
pub struct BenchArgs {
    /// Two short rounds instead of five, to see that everything runs; the figures are rough.
    #[arg(long)]
    quick: bool,
    /// Only these scenarios [default: all].
    #[arg(long, value_name = "SCENARIO", num_args = 1..)]
    only: Vec<String>,
    /// Only these targets, and nothing but the scenarios [default: all that are there].
    #[arg(long, value_name = "TARGET", num_args = 1..)]
    targets: Vec<String>,
    /// Only the grants that give tokens, beside the identity providers, into `bench/grants.md`; some ten minutes.
    #[arg(long, conflicts_with_all = ["quick", "only", "targets", "scenarios_only", "report", "hold"])]
    grants: bool,
    /// Where the servers keep their state, such as a folder in memory [default: target/tmcp/bench].
    #[arg(long, value_name = "FOLDER")]
    state: Option<PathBuf>,
    /// Leave out the counts, cold starts and growth.
    #[arg(long)]
    scenarios_only: bool,
    /// Write the report and the plot again from the last run's figures.
    #[arg(long, conflicts_with_all = ["quick", "only", "targets", "hold"])]
    report: bool,
    /// Only serve this target, for a profiler, and say how to put load on it.
    #[arg(long, value_name = "TARGET", conflicts_with_all = ["quick", "only", "targets"])]
    hold: Option<String>,
}

/// How long and how often is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Effort {
    /// Rounds; in each every target has every scenario once.
    pub rounds: usize,
    /// Milliseconds before each window.
    pub warmup_ms: u64,
    /// Milliseconds that are measured in a round, in all turns together.
    pub window_ms: u64,
    /// How often a cold start is repeated.
    pub starts: usize,
    /// The largest number of stored keys.
    pub most_keys: u64,
}

impl Effort {
    fn of(args: &BenchArgs) -> Self {
        match args.quick {
            true => Self { rounds: 2, warmup_ms: 400, window_ms: 1_200, starts: 2, most_keys: 10_000 },
            false => Self { rounds: 5, warmup_ms: 500, window_ms: 5_000, starts: 5, most_keys: 1_000_000 },
        }
    }
}

/// Connections that send at once.
pub const CONNECTIONS: usize = 16;

/// In a round a scenario goes round its targets so often, so that two of them are compared within seconds: the machine's speed changes
/// within minutes.
pub const TURNS: u32 = 3;

/// The report of a whole run.
const WHOLE: &str = "report";
/// The report of a run of the grants alone.
const GRANTS: &str = "grants";

/// What a run has measured, in its folder.
const FIGURES: &str = "results.json";

/// The folder that a run works in.
fn folder(paths: &Paths) -> PathBuf {
    paths.work().join("bench")
}

/// The folder of the servers' state, when it is not the run's.
static STATE: OnceLock<PathBuf> = OnceLock::new();

/// The folder that the servers of a run keep their state in.
fn state_folder(paths: &Paths) -> PathBuf {
    STATE.get().cloned().unwrap_or_else(|| folder(paths))
}

/// Runs the benchmark, and writes figures, report and plot.
pub fn run(paths: &Paths, args: &BenchArgs) -> Result<()> {
    let progress = Progress::new();
    if let Some(state) = &args.state {
        files::make_folder(state)?;
        let state = state.canonicalize().context("the folder for the servers' state cannot be used")?.join("tmcp-bench");
        STATE.get_or_init(|| state);
    }
    let granting = ["exchange", "refresh"].map(str::to_owned);
    let scenarios = scenario::select(if args.grants { &granting } else { &args.only })?;
    let wanted = target::select(&args.targets)?;
    let figures = folder(paths).join(FIGURES);
    if args.report {
        let results = files::read_json(&figures)?.context("there are no figures yet: run `cargo xtask bench`")?;
        return write(paths, &results);
    }
    if let Some(name) = &args.hold {
        let target = target::select(std::slice::from_ref(name))?;
        return hold::run(paths, target.first().copied().context("no target")?, &progress);
    }
    let whole = args.only.is_empty() && args.targets.is_empty() && !args.scenarios_only && !args.quick;
    let publish = if args.grants { Some(GRANTS) } else { whole.then_some(WHOLE) };
    let extras = !args.scenarios_only && !args.grants;
    let effort = Effort::of(args);
    let _state = Removed(STATE.get());
    let results = whole_run(paths, effort, &scenarios, &wanted, publish, extras, &progress)?;
    files::write_json(&figures, &results)?;
    write(paths, &results)?;
    progress.say(&format!("measured in {}", seconds(progress.elapsed())));
    Ok(())
}

/// A folder outside of the project, removed when the run is over.
struct Removed(Option<&'static PathBuf>);

impl Drop for Removed {
    fn drop(&mut self) {
        if let Some(folder) = self.0 {
            let _ = fs::remove_dir_all(folder);
        }
    }
}

fn whole_run(
    paths: &Paths,
    effort: Effort,
    scenarios: &[&'static Scenario],
    wanted: &[&'static Target],
    publish: Option<&str>,
    extras: bool,
    progress: &Progress,
) -> Result<Results> {
    let load = Load::build(paths, progress)?;
    let mut results = Results::begin(paths, effort, publish);
    let mut servers = server::start_all(paths, wanted, &mut results, progress)?;
    if servers.is_empty() {
        bail!("none of the targets is there: {}", results.missing.join("; "));
    }
    results.ceiling = Some(measure::ceiling(&load, effort, progress)?);
    measure::scenarios(paths, &load, &mut servers, scenarios, &mut results, progress)?;
    // What was measured is not lost with what may fail after it: `--report` writes it.
    files::write_json(&folder(paths).join(FIGURES), &results)?;
    // Idle servers cost little, but what follows starts its own.
    let seeds = server::seeds(&servers);
    drop(servers);
    if extras {
        counts::run(paths, &load, &seeds, scenarios, wanted, &mut results, progress)?;
        cold::run(paths, &seeds, wanted, &mut results, progress)?;
        growth::run(paths, &load, &seeds, wanted, &mut results, progress)?;
    }
    Ok(results)
}

/// Writes report and plot: a whole run's into `bench/`, others' beside their figures.
fn write(paths: &Paths, results: &Results) -> Result<()> {
    let out = if results.publish.is_some() { paths.root.join("bench") } else { folder(paths) };
    let name = results.publish.as_deref().unwrap_or(WHOLE);
    let notes = fs::read_to_string(paths.root.join("bench/notes.md")).ok();
    let report = out.join(format!("{name}.md"));
    fs::write(&report, report::text(results, notes.as_deref())).context("cannot write the report")?;
    fs::write(out.join(format!("{name}.svg")), plot::svg(results)).context("cannot write the plot")?;
    println!("{}", paths::shown(&report, &paths.root));
    Ok(())
}
