//! The steps that need no server: formatting, lints on every target, unit tests.

use anyhow::Result;

use super::Suite;
use crate::build::{self, Runtime};
use crate::functions;
use crate::openapi;
use crate::routes;
use crate::tools::{self, rust};

impl Suite<'_> {
    pub(super) fn format(&self) -> Result<()> {
        let mut command = tools::cargo(self.paths);
        self.step("checking the format", "fmt", command.args(["fmt", "--all", "--check"]))
    }

    /// The manifests and the OpenAPI document follow the route table.
    pub(super) fn manifests(&self) -> Result<()> {
        let step = self.progress.step("comparing manifests and openapi.json with the route table");
        routes::run(self.paths, true)?;
        openapi::run(self.paths, true)?;
        step.done();
        Ok(())
    }

    /// The default members with their tests, then the two test crates that are none of them.
    pub(super) fn clippy_host(&self) -> Result<()> {
        let mut command = tools::cargo(self.paths);
        command.args(["clippy", "--all-targets", "--", "-D", "warnings"]);
        self.step("linting for the host", "clippy-host", &mut command)?;
        let mut command = tools::cargo(self.paths);
        command.args(["clippy", "--all-targets", "--package", "tmcp-e2e", "--package", "tmcp-spin-host"]);
        command.args(["--", "-D", "warnings"]);
        self.step("linting the test crates", "clippy-tests", &mut command)
    }

    pub(super) fn unit(&self) -> Result<()> {
        let mut command = tools::cargo(self.paths);
        self.step("unit tests", "test-unit", command.args(["test", "--no-fail-fast"]))
    }

    pub(super) fn contract_on_host(&self) -> Result<()> {
        let mut command = tools::cargo(self.paths);
        command.args(["test", "--no-fail-fast", "--package", "tmcp-contract", "--package", "tmcp-testkit"]);
        self.step("port contracts on the host", "test-contract-host", &mut command)
    }

    pub(super) fn clippy_workers(&self) -> Result<()> {
        let packages = functions::all(true).map(|function| function.package);
        self.clippy_wasm(Runtime::Workers, rust::WORKERS_TARGET, packages.chain(["tmcp-workers"]))
    }

    pub(super) fn clippy_spin(&self) -> Result<()> {
        let on_spin = functions::all(true).filter(|function| function.on_spin);
        let packages = on_spin.map(|function| function.package);
        self.clippy_wasm(Runtime::Spin, rust::SPIN_TARGET, packages.chain(["tmcp-spin"]))
    }

    fn clippy_wasm(&self, runtime: Runtime, target: &str, packages: impl Iterator<Item = &'static str>) -> Result<()> {
        build::ensure_target(self.paths, self.progress, runtime)?;
        let mut command = tools::cargo(self.paths);
        command.args(["clippy", "--target", target]);
        for package in packages {
            command.args(["--package", package]);
        }
        command.args(["--", "-D", "warnings"]);
        self.step(&format!("linting for {target}"), &format!("clippy-{target}"), &mut command)
    }
}
