//! Deploying: the real wrangler against a stand-in for Cloudflare's API, and dry runs of the example environment for each runtime.

use std::process::Command;

use anyhow::{Context, Result};

use super::Suite;
use crate::build::Runtime;
use crate::deploy::environment::EXAMPLE;
use crate::tools::{self, npm::Npm};

impl Suite<'_> {
    /// From nothing, a second time, and after dying at any change; on modules of a few bytes, so that nothing need be built.
    pub(super) fn deploy(&self) -> Result<()> {
        {
            let _lock = tools::install_lock(self.paths, self.progress)?;
            Npm::new(self.paths).ensure(self.paths, self.progress)?;
        }
        let mut command = tools::cargo(self.paths);
        command.args(["test", "--package", "xtask", "--test", "deploy", "--", "--include-ignored"]);
        self.step("deploying to a stand-in for Cloudflare", "test-deploy", &mut command)
    }

    /// Everything that a deployment checks before it changes something: manifests, components, sizes.
    pub(super) fn dry_run(&self, runtime: Runtime, more: &[&str]) -> Result<()> {
        let own = std::env::current_exe().context("cannot find this program")?;
        let mut command = Command::new(own);
        command.current_dir(&self.paths.root).args(["deploy", runtime.name(), "--env", EXAMPLE, "--dry-run"]).args(more);
        let name = format!("dry run of deploy {}", runtime.name());
        self.step(&name, &format!("test-dry-run-{}", runtime.name()), &mut command)
    }
}
