//! The tests of `tests/browser`: a real Chromium and unmodified client libraries, run by Node's own test runner.

use std::process::Command;

use anyhow::Result;

use super::Suite;
use super::live::WIDE_LIMITS;
use crate::build::Runtime;
use crate::tools;
use crate::tools::chromium;
use crate::tools::npm::{self, Npm};
use crate::tools::python::AUTHLIB;

impl Suite<'_> {
    /// Runs them against a fresh server; the pictures they take lie beside its `up.json`, in `screenshots`.
    pub(super) fn browser(&self, runtime: Runtime) -> Result<()> {
        let folder = self.paths.root.join("tests/browser");
        let chromium = chromium::ensure(self.paths, self.progress)?;
        npm::install(self.paths, self.progress, &folder, "the browser tests")?;
        {
            let _lock = tools::install_lock(self.paths, self.progress)?;
            AUTHLIB.ensure(self.paths, self.progress)?;
        }
        let server = self.start(runtime, runtime.name(), "browser", WIDE_LIMITS, None)?;
        let mut command = Command::new(Npm::new(self.paths).node());
        command.current_dir(&folder).args(["--test", "--test-reporter=tap", "--test-concurrency=1", "--test-timeout=120000"]);
        command.env("TMCP_UP", &server.up_file).env("TMCP_CHROMIUM", chromium);
        command.env("TMCP_PYTHON", AUTHLIB.interpreter(self.paths));
        let name = runtime.name();
        let result = self.step(&format!("browser tests on {name}"), &format!("test-browser-{name}"), &mut command);
        server.end(result)
    }
}
