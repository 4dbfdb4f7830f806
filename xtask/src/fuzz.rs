//! `cargo xtask fuzz`: the targets of `fuzz/` under libFuzzer. The same targets run in the unit tests, from their seeds with some
//! thousand mutations that are always the same (`tests/fuzz-targets`): building these binaries costs minutes.
//!
//! cargo-fuzz wants options that only a nightly compiler has by itself; `RUSTC_BOOTSTRAP` lets the pinned stable one have them. No
//! sanitizer by default: our crates forbid unsafe code.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::interrupt;
use crate::log;
use crate::paths::{self, Paths};
use crate::process;
use crate::progress::{Progress, seconds};
use crate::tools;
use crate::tools::cargo_tools::CARGO_FUZZ;

/// Inputs are cut to so many bytes.
const MAX_LENGTH: u32 = 4096;
/// One input that takes so long is a finding.
const SLOW_S: u32 = 20;

/// Options of `fuzz`.
#[derive(Debug, Args)]
pub struct FuzzArgs {
    /// The target [default: all, one after the other].
    target: Option<String>,
    /// How long each target runs.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    /// The sanitizer: `none`, or `address` where its runtime is installed with the compiler.
    #[arg(long, default_value = "none")]
    sanitizer: String,
}

/// Builds the targets, runs each, and says what was found.
pub fn run(paths: &Paths, args: &FuzzArgs) -> Result<()> {
    let progress = Progress::new();
    let all = targets(paths)?;
    let chosen: Vec<&String> = match &args.target {
        None => all.iter().collect(),
        Some(name) => all.iter().filter(|target| *target == name).collect(),
    };
    if chosen.is_empty() {
        bail!("there is no such target: there are {}", all.join(", "));
    }
    {
        let _lock = tools::install_lock(paths, &progress)?;
        CARGO_FUZZ.ensure(paths, &progress)?;
    }
    let step = progress.step("building the fuzz targets");
    process::run(&step, cargo_fuzz(paths, "build").args(["--sanitizer", &args.sanitizer]), &paths.log("fuzz-build"))
        .context("failed to build the fuzz targets")?;
    step.done();
    let mut found = Vec::new();
    for target in chosen {
        let outcome = one(paths, &progress, target, args)?;
        println!("{target:<14}{}", outcome.line());
        for input in &outcome.inputs {
            println!("  found: {}", paths::shown(input, &paths.root));
            println!("  again: {}", again(paths, target, input, &args.sanitizer));
        }
        if outcome.failed {
            found.push(target.as_str());
        }
    }
    if !found.is_empty() {
        bail!("something was found in {}", found.join(", "));
    }
    Ok(())
}

/// The names of the targets: `fuzz/fuzz_targets/*.rs`.
fn targets(paths: &Paths) -> Result<Vec<String>> {
    let folder = paths.root.join("fuzz/fuzz_targets");
    let entries = fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let names = entries.flatten().map(|entry| entry.path());
    let mut names: Vec<_> = names.filter_map(|file| Some(file.file_stem()?.to_str()?.to_owned())).collect();
    names.sort_unstable();
    Ok(names)
}

/// `cargo fuzz` in the workspace, with its output beside the product's.
fn cargo_fuzz(paths: &Paths, what: &str) -> Command {
    let mut command = Command::new(CARGO_FUZZ.path(paths));
    tools::clean_environment(&mut command);
    // `--release` leaves debug assertions to the profile in fuzz/Cargo.toml, rather than setting them for every dependency.
    command.current_dir(&paths.root).args(["fuzz", what, "--release"]);
    command.env("RUSTC_BOOTSTRAP", "1").env("CARGO_TARGET_DIR", tools::shared_target(paths).join("fuzz"));
    command
}

/// How one target's run ended.
struct Outcome {
    failed: bool,
    /// What libFuzzer kept: crash-…, timeout-…, oom-….
    inputs: Vec<PathBuf>,
    runs: u64,
    coverage: u64,
    features: u64,
    took: Duration,
}

impl Outcome {
    fn line(&self) -> String {
        let found = if self.failed { format!("; {} found", self.inputs.len().max(1)) } else { String::new() };
        let (runs, took) = (self.runs, seconds(self.took));
        format!("{runs:>10} executions in {took}, coverage {} edges, {} features{found}", self.coverage, self.features)
    }
}

/// Runs one target. What it learns stays in `target/tmcp/fuzz`, so that the next run goes on from there.
fn one(paths: &Paths, progress: &Progress, target: &str, args: &FuzzArgs) -> Result<Outcome> {
    let work = paths.work().join("fuzz").join(target);
    let (corpus, artifacts) = (work.join("corpus"), work.join("artifacts"));
    fs::create_dir_all(&corpus).and_then(|()| fs::create_dir_all(&artifacts)).context("cannot make the corpus folder")?;
    let before = files(&artifacts);
    let fuzz = paths.root.join("fuzz");
    let mut command = cargo_fuzz(paths, "run");
    command.args(["--sanitizer", &args.sanitizer, target]).arg(&corpus).arg(fuzz.join("corpus").join(target)).arg("--");
    command.arg(format!("-max_total_time={}", args.seconds));
    command.arg(format!("-dict={}", fuzz.join("dict").join(format!("{target}.dict")).display()));
    command.arg(format!("-artifact_prefix={}/", artifacts.display()));
    command.args([format!("-max_len={MAX_LENGTH}"), format!("-timeout={SLOW_S}"), "-print_final_stats=1".to_owned()]);
    let file = paths.log(&format!("fuzz-{target}"));
    let step = progress.step(format!("fuzzing {target} for {} s", args.seconds));
    let started = std::time::Instant::now();
    let result = process::run(&step, &mut command, &file);
    drop(step);
    if interrupt::stop_wanted() {
        bail!("interrupted");
    }
    let text = fs::read_to_string(&file).unwrap_or_else(|_| String::from_utf8_lossy(&fs::read(&file).unwrap_or_default()).into());
    let inputs: Vec<PathBuf> = files(&artifacts).into_iter().filter(|input| !before.contains(input)).collect();
    if let (Err(error), true) = (&result, inputs.is_empty()) {
        log::last_lines(&file, 20).iter().for_each(|line| eprintln!("  | {line}"));
        bail!("{target} did not run: {error:#}");
    }
    let (coverage, features) = last_figures(&text);
    Ok(Outcome { failed: result.is_err(), inputs, runs: executions(&text), coverage, features, took: started.elapsed() })
}

fn files(folder: &std::path::Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    files.sort_unstable();
    files
}

/// The command line that runs one input alone.
fn again(paths: &Paths, target: &str, input: &std::path::Path, sanitizer: &str) -> String {
    let (program, target_folder) = (CARGO_FUZZ.path(paths), paths.cargo_target.join("fuzz"));
    let shown = paths::shown(input, &paths.root);
    format!(
        "RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR={} {} fuzz run --release --sanitizer {sanitizer} {target} {shown}",
        target_folder.display(),
        program.display()
    )
}

/// `stat::number_of_executed_units: N`.
fn executions(text: &str) -> u64 {
    let number = |line: &str| line.strip_prefix("stat::number_of_executed_units:")?.trim().parse().ok();
    text.lines().rev().find_map(number).unwrap_or(0)
}

/// Edges and features of the last status line: `#123 NEW cov: 45 ft: 67 corp: …`.
fn last_figures(text: &str) -> (u64, u64) {
    let figure = |line: &str, name: &str| {
        let mut words = line.split_ascii_whitespace().skip_while(|word| *word != name);
        words.nth(1)?.parse().ok()
    };
    let both = |line: &str| Some((figure(line, "cov:")?, figure(line, "ft:")?));
    text.lines().rev().filter(|line| line.starts_with('#')).find_map(both).unwrap_or((0, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_come_from_libfuzzers_lines() {
        let text = "#2\tINITED cov: 10 ft: 11 corp: 1/1b\n#70\tNEW    cov: 1345 ft: 2917 corp: 12/3kb lim: 4 exec/s: 0 rss: 34Mb\n\
            Done 857 runs in 61 second(s)\nstat::number_of_executed_units: 857\n";
        assert_eq!((executions(text), last_figures(text)), (857, (1345, 2917)));
        assert_eq!((executions(""), last_figures("")), (0, (0, 0)));
    }
}
