//! A Chromium for the tests of the pages: the machine's, else Debian's package, which needs root.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::paths::Paths;
use crate::process;
use crate::progress::Progress;
use crate::tools;

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
    if !tools::is_debian_root() {
        bail!("there is no Chromium on PATH: {ADVICE}");
    }
    tools::apt_install(paths, progress, "Chromium", &["chromium"])?;
    program().context("chromium was installed and is not on PATH")
}
