//! `cargo xtask build`: the wasm modules of both runtimes.

mod names;
mod spin;
mod stamp;
mod workers;

use anyhow::Result;
use clap::ValueEnum;

use crate::functions::Function;
use crate::paths::Paths;
use crate::progress::Progress;
use crate::tools::{self, cargo_tools, npm::Npm, rust};

pub use spin::build as build_spin;
pub use workers::{build as build_workers, module as workers_module};

/// One of the two platforms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Runtime {
    /// Cloudflare Workers: workerd, through wrangler.
    Workers,
    /// Spin, or the test host in its place.
    Spin,
}

impl Runtime {
    /// The name on the command line and in file names.
    pub fn name(self) -> &'static str {
        match self {
            Self::Workers => "workers",
            Self::Spin => "spin",
        }
    }
}

/// A choice of platforms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Runtimes {
    /// Workers only.
    Workers,
    /// Spin only.
    Spin,
    /// Both, Workers first.
    All,
}

impl Runtimes {
    /// The chosen ones.
    pub fn list(self) -> &'static [Runtime] {
        match self {
            Self::Workers => &[Runtime::Workers],
            Self::Spin => &[Runtime::Spin],
            Self::All => &[Runtime::Workers, Runtime::Spin],
        }
    }
}

/// Installs what building for a runtime needs, and no more.
pub fn ensure_tools(paths: &Paths, progress: &Progress, runtime: Runtime) -> Result<()> {
    tools::require("rustc", "install Rust with rustup")?;
    let _lock = tools::install_lock(paths, progress)?;
    match runtime {
        Runtime::Workers => {
            rust::ensure_target(paths, progress, rust::WORKERS_TARGET)?;
            Npm::new(paths).ensure(paths, progress)?;
            cargo_tools::WASM_BINDGEN.ensure(paths, progress)?;
            cargo_tools::WORKER_BUILD.ensure(paths, progress)?;
            cargo_tools::clear_build_output(paths);
            Ok(())
        }
        Runtime::Spin => rust::ensure_target(paths, progress, rust::SPIN_TARGET),
    }
}

/// Installs the Rust target of a runtime, which is all that checking its code needs.
pub fn ensure_target(paths: &Paths, progress: &Progress, runtime: Runtime) -> Result<()> {
    let target = match runtime {
        Runtime::Workers => rust::WORKERS_TARGET,
        Runtime::Spin => rust::SPIN_TARGET,
    };
    rust::ensure_target(paths, progress, target)
}

/// Builds some functions for one runtime, with its tools in place.
pub fn build(paths: &Paths, progress: &Progress, runtime: Runtime, functions: &[&'static Function]) -> Result<()> {
    ensure_tools(paths, progress, runtime)?;
    let _lock = tools::build_lock(paths, progress)?;
    match runtime {
        Runtime::Workers => build_workers(paths, progress, functions),
        Runtime::Spin => build_spin(paths, progress, functions),
    }
}
