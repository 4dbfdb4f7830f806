//! Which program runs the Spin components: `spin` itself where it is on PATH, else the test host of this workspace.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::files;
use crate::paths::Paths;
use crate::process;
use crate::progress::Progress;
use crate::tools;

/// The profile of the test host: without optimisation it compiles components too slowly.
const PROFILE: &str = "tool";

/// A program that understands `up --from … --listen …`.
pub enum SpinProgram {
    /// Spin 3.x or 4.x, from PATH.
    Spin { path: PathBuf, version: String },
    /// `tests/spin-host`, built from this workspace.
    TestHost,
}

impl SpinProgram {
    /// Looks for `spin` on PATH; a version that does not fit the components' SDK counts as none.
    pub fn find() -> Self {
        let found = process::which("spin").and_then(|path| {
            let version = process::output(Command::new(&path).arg("--version"))?;
            fits(&version).then_some(Self::Spin { path, version })
        });
        found.unwrap_or(Self::TestHost)
    }

    /// Builds the test host if that is what runs; gives the program's path.
    pub fn ensure(self, paths: &Paths, progress: &Progress) -> Result<PathBuf> {
        if let Self::Spin { path, .. } = self {
            return Ok(path);
        }
        let _lock = tools::build_lock(paths, progress)?;
        let step = progress.step("building the Spin test host (no spin 3.x or 4.x on PATH)");
        let mut build = tools::cargo(paths);
        build.args(["build", "--profile", PROFILE, "--package", "tmcp-spin-host"]);
        process::run(&step, &mut build, &paths.log("build-spin-host")).context("failed to build tests/spin-host")?;
        // A copy of this clone's own: another clone builds under the same name.
        let host = paths.root.join("target/spin/spin-host");
        files::copy(&paths.cargo_target.join(PROFILE).join("spin-host"), &host)?;
        step.done();
        Ok(host)
    }
}

/// Whether `spin --version` names a version that runs components of SDK 5.2: "spin 4.0.2 (…)".
fn fits(version: &str) -> bool {
    let number = version.split_whitespace().nth(1).unwrap_or_default();
    matches!(number.split('.').next(), Some("3" | "4"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_spin_3_and_4_fit() {
        assert!(fits("spin 4.0.2 (ab12 2026-01-01)"));
        assert!(fits("spin 3.6.1"));
        assert!(!fits("spin 2.7.0"));
        assert!(!fits("spin 40.0.0"));
        assert!(!fits(""));
    }
}
