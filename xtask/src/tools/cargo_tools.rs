//! Commands that come as crates: `worker-build` and `wasm-bindgen`.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::paths::Paths;
use crate::process;
use crate::progress::Progress;
use crate::tools;

/// One program to be built once with `cargo install`.
pub struct CargoTool {
    /// Name of the package.
    package: &'static str,
    /// Name of the command it installs.
    command: &'static str,
    /// The one version that is used.
    pub version: &'static str,
    /// What it costs, for whoever waits.
    cost: &'static str,
}

/// Builds a Worker out of a function crate.
pub const WORKER_BUILD: CargoTool =
    CargoTool { package: "worker-build", command: "worker-build", version: "0.8.7", cost: "11 CPU minutes, once" };
/// Makes the JavaScript side of a Worker. Must be the version of `wasm-bindgen` in `Cargo.lock`.
pub const WASM_BINDGEN: CargoTool =
    CargoTool { package: "wasm-bindgen-cli", command: "wasm-bindgen", version: "0.2.130", cost: "9 CPU minutes, once" };

/// Builds and runs fuzz targets.
pub const CARGO_FUZZ: CargoTool =
    CargoTool { package: "cargo-fuzz", command: "cargo-fuzz", version: "0.13.1", cost: "a minute, once" };

impl CargoTool {
    /// Where the program lies once it is installed.
    pub fn path(&self, paths: &Paths) -> PathBuf {
        folder(paths).join("bin").join(self.command)
    }

    /// Whether this very version is installed, by cargo's own record.
    pub fn is_installed(&self, paths: &Paths) -> bool {
        let record = fs::read_to_string(folder(paths).join(".crates.toml")).unwrap_or_default();
        self.path(paths).is_file() && is_recorded(&record, self.package, self.version)
    }

    /// Installs it if it is missing.
    pub fn ensure(&self, paths: &Paths, progress: &Progress) -> Result<()> {
        if self.is_installed(paths) {
            return Ok(());
        }
        tools::require("cc", "install a C compiler, for example Debian's build-essential")?;
        let step = progress.step(format!("installing {} {} ({})", self.package, self.version, self.cost));
        let log = paths.log(&format!("install-{}", self.command));
        // Locked first: that is what its authors tested. A registry that lags behind the lock file cannot serve it.
        process::run(&step, &mut self.install(paths, true), &log)
            .or_else(|_| process::run(&step, &mut self.install(paths, false), &log))
            .with_context(|| format!("failed to install {}; is the crate registry reachable?", self.package))?;
        step.done();
        Ok(())
    }

    fn install(&self, paths: &Paths, locked: bool) -> std::process::Command {
        let mut command = tools::cargo(paths);
        // Outside the workspace, whose .cargo/config.toml is not meant for tools.
        command.current_dir(&paths.cache).env("CARGO_TARGET_DIR", build_output(paths));
        command.args(["install", self.package, "--version", self.version, "--force", "--root"]);
        command.arg(folder(paths));
        if locked {
            command.arg("--locked");
        }
        command
    }
}

/// Takes away what building the tools left: nearly a gigabyte that nobody needs again.
pub fn clear_build_output(paths: &Paths) {
    let _ = fs::remove_dir_all(build_output(paths));
}

fn build_output(paths: &Paths) -> PathBuf {
    paths.cache.join("tools-target")
}

fn folder(paths: &Paths) -> PathBuf {
    paths.tools().join("cargo")
}

/// Whether cargo's `.crates.toml` says that this version of a package is installed.
fn is_recorded(record: &str, package: &str, version: &str) -> bool {
    record.lines().any(|line| line.starts_with(&format!("\"{package} {version} ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_recorded_version_counts() {
        let record = "[v1]\n\"worker-build 0.8.7 (registry+x)\" = [\"worker-build\"]\n";
        assert!(is_recorded(record, "worker-build", "0.8.7"));
        assert!(!is_recorded(record, "worker-build", "0.8.8"));
        assert!(!is_recorded(record, "build", "0.8.7"));
    }
}
