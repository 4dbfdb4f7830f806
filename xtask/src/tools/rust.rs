//! The wasm targets of the Rust toolchain.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::paths::Paths;
use crate::process;
use crate::progress::Progress;
use crate::tools;

/// What Workers modules are built for.
pub const WORKERS_TARGET: &str = "wasm32-unknown-unknown";
/// What Spin components are built for.
pub const SPIN_TARGET: &str = "wasm32-wasip2";

/// Whether the standard library of a target is installed.
pub fn has_target(target: &str) -> bool {
    process::output(Command::new("rustc").args(["--print", "target-libdir", "--target", target]))
        .is_some_and(|folder| Path::new(&folder).is_dir())
}

/// Adds a target with rustup if it is missing.
pub fn ensure_target(paths: &Paths, progress: &Progress, target: &str) -> Result<()> {
    if has_target(target) {
        return Ok(());
    }
    tools::require("rustup", "install Rust with rustup, or add the target in your distribution's way")?;
    let step = progress.step(format!("installing the Rust target {target}"));
    let mut command = Command::new("rustup");
    command.args(["target", "add", target]).current_dir(&paths.root);
    process::run(&step, &mut command, &paths.log("rustup")).with_context(|| format!("failed to add the Rust target {target}"))?;
    step.done();
    Ok(())
}
