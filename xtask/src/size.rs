//! `cargo xtask size`: how large each function is, as it is and compressed, against the budget in `deploy/budget.toml`.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Deserialize;

use crate::build::{self, Runtime};
use crate::functions::{FUNCTIONS, Function};
use crate::paths::Paths;

/// The checked-in limits.
const BUDGET: &str = "deploy/budget.toml";

/// The largest gzipped size of one function, by runtime.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    gzip_bytes: Limits,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Limits {
    workers: usize,
    spin: usize,
    /// By name and runtime, `saml on spin`: what has a reason to be larger.
    #[serde(default)]
    except: BTreeMap<String, usize>,
}

impl Budget {
    /// Reads the checked-in budget.
    pub fn read(paths: &Paths) -> Result<Self> {
        let text = fs::read_to_string(paths.root.join(BUDGET)).with_context(|| format!("cannot read {BUDGET}"))?;
        toml::from_str(&text).with_context(|| format!("{BUDGET} is not a budget"))
    }

    fn of(&self, name: &str, runtime: Runtime) -> usize {
        if let Some(limit) = self.gzip_bytes.except.get(&format!("{name} on {}", runtime.name())) {
            return *limit;
        }
        match runtime {
            Runtime::Workers => self.gzip_bytes.workers,
            Runtime::Spin => self.gzip_bytes.spin,
        }
    }
}

/// What one function weighs on one runtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Bytes as they are.
    pub raw: usize,
    /// Bytes of each file gzipped, summed.
    pub gzip: usize,
}

impl Size {
    /// The size of some files together.
    pub fn of(files: &[PathBuf]) -> Result<Self> {
        let mut size = Self { raw: 0, gzip: 0 };
        for file in files {
            let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
            size.raw += bytes.len();
            size.gzip += gzipped(&bytes).context("cannot compress")?;
        }
        Ok(size)
    }
}

/// A table of sizes that knows what is over the budget.
pub struct Report {
    budget: Budget,
    over: Vec<String>,
}

impl Report {
    /// Prints the heading.
    pub fn new(paths: &Paths) -> Result<Self> {
        let budget = Budget::read(paths)?;
        println!("{:<10} {:<8} {:>11} {:>11} {:>11}", "function", "runtime", "raw", "gzip", "budget");
        Ok(Self { budget, over: Vec::new() })
    }

    /// Prints a line; with `None` it was not built.
    pub fn line(&mut self, name: &str, runtime: Runtime, size: Option<Size>) {
        let on = runtime.name();
        let Some(Size { raw, gzip }) = size else {
            println!("{name:<10} {on:<8} not built");
            return;
        };
        let limit = self.budget.of(name, runtime);
        let verdict = if gzip > limit { "  over" } else { "" };
        println!("{name:<10} {on:<8} {raw:>9} B {gzip:>9} B {limit:>9} B{verdict}");
        if gzip > limit {
            self.over.push(format!("{name} on {on} by {} B", gzip - limit));
        }
    }

    /// Fails if something was over.
    pub fn finish(self) -> Result<()> {
        if self.over.is_empty() {
            return Ok(());
        }
        bail!("over the budget of {BUDGET}: {}; make it smaller, or raise the budget for a reason", self.over.join(", "))
    }
}

/// Prints a line per function and runtime, and fails above the budget; what was not built is named as such.
pub fn run(paths: &Paths) -> Result<()> {
    let mut report = Report::new(paths)?;
    for function in FUNCTIONS {
        report.line(function.name, Runtime::Workers, measured(&workers_files(paths, function))?);
        if function.on_spin {
            report.line(function.name, Runtime::Spin, measured(&[paths.spin_module(function.name)])?);
        }
    }
    report.finish()
}

fn workers_files(paths: &Paths, function: &Function) -> [PathBuf; 2] {
    let module = build::workers_module(paths, function);
    [module.with_file_name("index.js"), module]
}

fn measured(files: &[PathBuf]) -> Result<Option<Size>> {
    if files.iter().all(|file| Path::is_file(file)) { Size::of(files).map(Some) } else { Ok(None) }
}

fn gzipped(bytes: &[u8]) -> std::io::Result<usize> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_over_the_budget_is_named() {
        let text = "[gzip_bytes]\nworkers = 100\nspin = 10\n[gzip_bytes.except]\n\"saml on spin\" = 20\n";
        let budget: Budget = toml::from_str(text).unwrap();
        let mut report = Report { budget, over: Vec::new() };
        report.line("auth", Runtime::Workers, Some(Size { raw: 900, gzip: 100 }));
        report.line("ops", Runtime::Workers, None);
        report.line("storage", Runtime::Workers, Some(Size { raw: 900, gzip: 103 }));
        report.line("ops", Runtime::Spin, Some(Size { raw: 900, gzip: 11 }));
        report.line("saml", Runtime::Spin, Some(Size { raw: 900, gzip: 20 }));
        let error = report.finish().unwrap_err().to_string();
        assert!(error.contains("storage on workers by 3 B") && error.contains("ops on spin by 1 B"), "{error}");
        assert!(!error.contains("auth") && !error.contains("saml"), "{error}");
    }

    #[test]
    fn files_are_added_up() {
        let file = std::env::temp_dir().join(format!("xtask-size-{}", std::process::id()));
        fs::write(&file, [0; 100_000]).unwrap();
        let one = Size::of(std::slice::from_ref(&file)).unwrap();
        assert_eq!(Size::of(&[file.clone(), file.clone()]).unwrap(), Size { raw: 200_000, gzip: 2 * one.gzip });
        assert!(one.gzip < 1000);
        fs::remove_file(file).unwrap();
    }
}
