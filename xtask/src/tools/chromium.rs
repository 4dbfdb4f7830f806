//! A Chromium for the tests of the pages: the machine's, else Debian's package, which needs root.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::paths::Paths;
use crate::process;
use crate::progress::Progress;

/// Under which names it lies on PATH.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];

/// What to do where there is none.
pub const ADVICE: &str = "install Chromium (Debian: apt-get install chromium): only the browser tests need it";

/// The program, if there is one.
pub fn program() -> Option<PathBuf> {
    NAMES.iter().find_map(|name| process::which(name))
}

/// The program; installed where it is missing and can be.
pub fn ensure(paths: &Paths, progress: &Progress) -> Result<PathBuf> {
    if let Some(program) = program() {
        return Ok(program);
    }
    let root = process::output(Command::new("id").arg("-u")).is_some_and(|id| id.trim() == "0");
    if !root || process::which("apt-get").is_none() {
        bail!("there is no Chromium on PATH: {ADVICE}");
    }
    let step = progress.step("installing Chromium from Debian");
    let log = paths.log("install-chromium");
    for args in [&["update"][..], &["install", "--yes", "--no-install-recommends", "chromium"]] {
        let mut command = Command::new("apt-get");
        command.args(args).env("DEBIAN_FRONTEND", "noninteractive");
        process::run(&step, &mut command, &log).context("failed to install Chromium")?;
    }
    step.done();
    program().context("chromium was installed and is not on PATH")
}
