//! `cargo xtask soak`: a fresh server with a Synapse, and the load of `tests/soak`, which breaks them and then checks.
//!
//! The server's clock is moved by a small library that is preloaded into it (`tests/soak/clock.c`); the monotonic clock is left
//! alone. Synapse keeps the machine's time.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use clap::Args;
use std::os::unix::process::CommandExt;

use crate::build::{Runtime, Runtimes};
use crate::interrupt;
use crate::paths::Paths;
use crate::process;
use crate::progress::Progress;
use crate::tools;
use crate::up::{self, fresh, state};

/// Capacities out of the way: limits are not the subject.
const LIMITS: &str = r#"{"scale":1000}"#;
/// What the checks may take at the end, beyond the minutes of load.
const CHECKS_LIMIT: Duration = Duration::from_secs(600);

/// Options of `soak`.
#[derive(Debug, Args)]
pub struct SoakArgs {
    /// How long the load runs, on each runtime. From 17 on there is a stretch without kills that is long enough to judge workerd's memory.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=1440))]
    minutes: u64,
    /// The platforms to run on, one after the other.
    #[arg(long, value_enum, default_value = "all")]
    runtime: Runtimes,
    /// What the schedule of faults and the load follow [default: a new one, which is printed].
    #[arg(long)]
    seed: Option<u64>,
    /// Leave the clock alone: where no C compiler is at hand, or on a system without LD_PRELOAD.
    #[arg(long)]
    no_clock: bool,
}

/// Runs the soak on each runtime; fails if anything was wrong on one.
pub fn run(paths: &Paths, args: &SoakArgs) -> Result<()> {
    let progress = Progress::new();
    let fresh = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.as_secs() % 1_000_000);
    let seed = args.seed.unwrap_or_else(fresh);
    let program = compile(paths, &progress)?;
    let clock = if args.no_clock { None } else { Some(clock_library(paths, &progress)?) };
    let mut wrong = Vec::new();
    for runtime in args.runtime.list() {
        if let Err(error) = soak(paths, &progress, *runtime, args.minutes, seed, &program, clock.as_deref()) {
            progress.say(&format!("error: {error:#}"));
            wrong.push(runtime.name());
        }
        if interrupt::stop_wanted() {
            bail!("interrupted");
        }
    }
    let again = format!("cargo xtask soak --minutes {} --seed {seed}", args.minutes);
    if !wrong.is_empty() {
        bail!("the soak failed on {}; `{again}` runs the same schedule again", wrong.join(" and "));
    }
    progress.say(&format!("nothing was wrong; this was `{again}`"));
    Ok(())
}

/// Builds the load.
fn compile(paths: &Paths, progress: &Progress) -> Result<PathBuf> {
    let step = progress.step("compiling the load");
    let mut command = tools::cargo(paths);
    process::run(&step, command.args(["build", "--package", "tmcp-soak"]), &paths.log("soak-compile"))?;
    step.done();
    Ok(paths.cargo_target.join("debug/tmcp-soak"))
}

/// Builds the library that moves a clock.
fn clock_library(paths: &Paths, progress: &Progress) -> Result<PathBuf> {
    let advice = "install a C compiler, for example Debian's build-essential, or pass --no-clock";
    tools::require("cc", advice)?;
    let library = paths.work().join("soak-clock.so");
    crate::files::make_parent(&library)?;
    let step = progress.step("compiling the clock");
    let mut command = Command::new("cc");
    command.args(["-O2", "-shared", "-fPIC", "-o"]).arg(&library).arg(paths.root.join("tests/soak/clock.c"));
    process::run(&step, &mut command, &paths.log("soak-clock"))
        .context("failed to compile the library that moves the clock; --no-clock does without")?;
    step.done();
    Ok(library)
}

fn soak(
    paths: &Paths,
    progress: &Progress,
    runtime: Runtime,
    minutes: u64,
    seed: u64,
    program: &Path,
    clock: Option<&Path>,
) -> Result<()> {
    let data = paths.work().join(format!("soak-{}", runtime.name()));
    let mut plan = fresh::plan(paths, runtime, data, LIMITS, progress, |_| {})?;
    let up_file = plan.up_file.clone();
    let offset = plan.data.join("clock-offset");
    if let Some(library) = clock {
        fs::write(&offset, 0i64.to_ne_bytes()).with_context(|| format!("cannot write {}", offset.display()))?;
        let pairs = [("LD_PRELOAD", library.to_path_buf()), ("TMCP_CLOCK_OFFSET", offset.clone())];
        plan.environment.extend(pairs.map(|(name, path)| (name.to_owned(), path.display().to_string())));
    }
    up::start_detached(&plan, progress)?;
    progress.say(&format!("soaking {} for {minutes} min with seed {seed}", runtime.name()));
    let mut command = Command::new(program);
    tools::clean_environment(&mut command);
    command.args(["--minutes", &minutes.to_string(), "--seed", &seed.to_string()]).env("TMCP_UP", &up_file);
    if clock.is_some() {
        command.arg("--clock").arg(&offset);
    }
    let outcome = watch(&mut command, Duration::from_secs(minutes * 60) + CHECKS_LIMIT);
    if let Err(error) = up::down::end(&up_file, progress) {
        eprintln!("error: {error:#}");
        state::forget(&up_file);
    }
    outcome.with_context(|| format!("on {}; the server's logs: {}", runtime.name(), plan.logs().display()))
}

/// Runs the load with its output as ours; ends it on a wish to stop, and when it takes too long.
fn watch(command: &mut Command, limit: Duration) -> Result<()> {
    let mut child = command.stdin(Stdio::null()).process_group(0).spawn().context("cannot run the load")?;
    let began = std::time::Instant::now();
    loop {
        match child.try_wait()? {
            Some(status) if status.success() => return Ok(()),
            Some(_) => bail!("the load found something wrong"),
            None => {}
        }
        if interrupt::stop_wanted() || began.elapsed() > limit {
            process::kill_group(child.id());
            let _ = child.wait();
            bail!("{}", if interrupt::stop_wanted() { "interrupted" } else { "the load did not come to its end" });
        }
        sleep(Duration::from_millis(100));
    }
}
