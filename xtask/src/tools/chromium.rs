//! A Chromium for the tests of the pages: the machine's, else Debian's package.

use std::path::PathBuf;

use anyhow::Result;

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
    tools::program_or_package(paths, progress, "Chromium", &NAMES, "chromium", ADVICE)
}
