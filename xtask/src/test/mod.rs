//! `cargo xtask test`: the whole suite, or one kind of it. `.ci/run` calls it.
//!
//! Order: what is cheap and fails often comes first. The first failure ends the run.

mod browser;
mod checks;
mod deploy;
mod live;
mod schema;

use std::cell::Cell;
use std::collections::BTreeSet;
use std::process::Command;

use anyhow::Result;
use clap::{Args, ValueEnum};

use crate::build::Runtimes;
use crate::interrupt;
use crate::log;
use crate::paths::Paths;
use crate::peers::StoragePeer;
use crate::process;
use crate::progress::{Progress, seconds};

/// Options of `test`.
#[derive(Debug, Args)]
pub struct TestArgs {
    /// One kind of test [default: all, with the checks].
    #[arg(value_enum)]
    pub kind: Option<Kind>,
    /// The platforms to test on.
    #[arg(long, value_enum, default_value = "all")]
    pub runtime: Runtimes,
}

/// A kind of test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// Everything that runs on the host alone.
    Unit,
    /// The port contracts: on the host, and inside each runtime.
    Contract,
    /// Over HTTP, against each runtime with a Synapse.
    E2e,
    /// The pages in a real Chromium, and client libraries that drive every grant, against each runtime with a Synapse.
    Browser,
    /// Requests that follow openapi.json and requests that nearly do, made up by schemathesis, against each runtime.
    Schema,
    /// Deploying: against a stand-in for Cloudflare's API, and the dry runs.
    Deploy,
    /// The storage part of e2e against the benchmark's TypeScript peer. Not among "all".
    Peer,
}

/// Runs the chosen kinds, and says how long each step took.
pub fn run(paths: &Paths, args: &TestArgs) -> Result<()> {
    let progress = Progress::new();
    let suite = Suite { paths, progress: &progress, counted: Cell::new(Counts::default()) };
    let outcome = run_kinds(&suite, args);
    let Counts { passed, failed } = suite.counted.get();
    println!("{passed} passed, {failed} failed");
    outcome?;
    progress.say(&format!("all passed in {}", seconds(progress.elapsed())));
    Ok(())
}

fn run_kinds(suite: &Suite<'_>, args: &TestArgs) -> Result<()> {
    match args.kind {
        None => {
            suite.format()?;
            suite.manifests()?;
            suite.clippy_host()?;
            suite.unit()?;
            suite.clippy_workers()?;
            suite.clippy_spin()?;
            suite.deploy()?;
        }
        Some(Kind::Unit) => suite.unit()?,
        Some(Kind::Contract) => suite.contract_on_host()?,
        Some(Kind::E2e | Kind::Browser | Kind::Schema) => {}
        Some(Kind::Deploy) => {
            suite.deploy()?;
            return args.runtime.list().iter().try_for_each(|runtime| suite.dry_run(*runtime, &[]));
        }
        Some(Kind::Peer) => return suite.storage_peer(StoragePeer::Hono),
    }
    if args.kind != Some(Kind::Unit) {
        for runtime in args.runtime.list() {
            suite.live(*runtime, args.kind)?;
            if args.kind.is_none() {
                // On what the tests have just run.
                suite.dry_run(*runtime, &["--no-build"])?;
            }
        }
    }
    Ok(())
}

/// Tests that were counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Counts {
    passed: usize,
    failed: usize,
}

impl Counts {
    /// Adds the summaries that cargo's test harness, or Node's, left in a log.
    fn add(mut self, log: &str) -> Self {
        for line in log.lines().filter_map(|line| line.trim().strip_prefix("test result: ")) {
            let figure = |word: &str| {
                let part = line.split([';', '.']).find_map(|part| part.trim().strip_suffix(word));
                part.and_then(|number| number.trim().parse::<usize>().ok()).unwrap_or(0)
            };
            self.passed += figure(" passed");
            self.failed += figure(" failed");
        }
        // Node's, in the form of TAP.
        for line in log.lines() {
            let figure = |name: &str| line.strip_prefix(name).and_then(|number| number.trim().parse::<usize>().ok()).unwrap_or(0);
            self.passed += figure("# pass ");
            self.failed += figure("# fail ");
        }
        self.add_operations(log)
    }

    /// Schemathesis' summary: an operation counts as one test, whatever was asked of it; each that failed has a heading.
    fn add_operations(mut self, log: &str) -> Self {
        let tested = log.lines().find_map(|line| line.trim().strip_prefix("Tested: ")?.parse::<usize>().ok()).unwrap_or(0);
        let headings = log.lines().filter_map(|line| line.strip_prefix("___")?.trim_matches(['_', ' ']).split_once(' '));
        let is_operation = |(method, path): &(&str, &str)| {
            path.starts_with('/') && !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_uppercase())
        };
        let failed = headings.filter(is_operation).collect::<BTreeSet<_>>().len().min(tested);
        self.failed += failed;
        self.passed += tested - failed;
        self
    }
}

/// What every step needs.
struct Suite<'a> {
    paths: &'a Paths,
    progress: &'a Progress,
    counted: Cell<Counts>,
}

impl Suite<'_> {
    /// Runs one step; when it fails, the end of its log is shown before the error that names the log.
    fn step(&self, name: &str, file: &str, command: &mut Command) -> Result<()> {
        let path = self.paths.log(file);
        let step = self.progress.step(name);
        let result = process::run(&step, command, &path);
        let log = std::fs::read_to_string(&path).unwrap_or_default();
        self.counted.set(self.counted.get().add(&log));
        match &result {
            Ok(()) => step.done(),
            Err(_) => {
                drop(step);
                let shown = if interrupt::stop_wanted() { 0 } else { 60 };
                log::last_lines(&path, shown).iter().for_each(|line| eprintln!("  | {line}"));
            }
        }
        result.map_err(|error| error.context(format!("{name} failed")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries_are_added_up() {
        let log = "running 2 tests\ntest result: ok. 2 passed; 0 failed; 0 ignored; 0 measured\n\
            test result: FAILED. 3 passed; 1 failed; 0 ignored\n\
            # tests 7\n# pass 6\n# fail 1\n# cancelled 0\n";
        assert_eq!(Counts::default().add(log), Counts { passed: 11, failed: 2 });
        let log = "_____ GET /ops/health _____\nAPI Operations:\n  Selected: 88/88\n  Tested: 88\n\nTest cases:\n  3498 generated, 1 failed\n";
        assert_eq!(Counts::default().add(log), Counts { passed: 87, failed: 1 });
    }
}
