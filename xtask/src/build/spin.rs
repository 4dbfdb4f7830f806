//! Spin components: one cargo call for all of them, then a copy under the name that `spin.toml` uses.

use anyhow::{Context, Result};

use crate::files;
use crate::functions::Function;
use crate::paths::Paths;
use crate::process;
use crate::progress::Progress;
use crate::tools::{self, rust};

/// The profile in Cargo.toml.
const PROFILE: &str = "spin";

/// Builds the components of those functions that run on Spin. Cargo skips what is up to date.
pub fn build(paths: &Paths, progress: &Progress, functions: &[&'static Function]) -> Result<()> {
    let functions: Vec<_> = functions.iter().filter(|function| function.on_spin).collect();
    if functions.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = functions.iter().map(|function| function.name).collect();
    let step = progress.step(format!("building {} for Spin", names.join(", ")));
    let mut command = tools::cargo(paths);
    command.args(["build", "--profile", PROFILE, "--target", rust::SPIN_TARGET]);
    for function in &functions {
        command.args(["--package", function.package]);
    }
    process::run(&step, &mut command, &paths.log("build-spin")).context("failed to build for Spin")?;
    let built = paths.cargo_target.join(rust::SPIN_TARGET).join(PROFILE);
    for function in functions {
        let from = built.join(function.package.replace('-', "_")).with_extension("wasm");
        files::copy(&from, &paths.spin_module(function.name)).with_context(|| format!("is {} a cdylib?", function.package))?;
    }
    step.done();
    Ok(())
}
