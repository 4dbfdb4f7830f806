//! The tests of `tests/schema`: schemathesis asks a fresh server what its own OpenAPI document says that it can be asked, and what it
//! says that it cannot.

use std::process::Command;

use anyhow::Result;

use super::Suite;
use super::live::WIDE_LIMITS;
use crate::build::Runtime;
use crate::tools;
use crate::tools::python::SCHEMATHESIS;

impl Suite<'_> {
    /// Runs it.
    pub(super) fn schema(&self, runtime: Runtime) -> Result<()> {
        {
            let _lock = tools::install_lock(self.paths, self.progress)?;
            SCHEMATHESIS.ensure(self.paths, self.progress)?;
        }
        let name = runtime.name();
        let server = self.start(runtime, name, "schema", WIDE_LIMITS, |_| {})?;
        let mut command = Command::new(SCHEMATHESIS.interpreter(self.paths));
        command.arg(self.paths.root.join("tests/schema/run.py")).env("TMCP_UP", &server.up_file);
        if let Some(folder) = server.up_file.parent() {
            command.env("TMCP_SCHEMA_DIR", folder);
        }
        let result = self.step(&format!("requests by openapi.json on {name}"), &format!("test-schema-{name}"), &mut command);
        server.end(result)
    }
}
