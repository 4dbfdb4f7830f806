//! Python virtual environments in the cache: Synapse, the Matrix homeserver that sign-in is tested against, Authlib, a client library, and
//! pysaml2, an identity provider.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::paths::Paths;
use crate::process;
use crate::progress::Progress;
use crate::tools;

/// The one version of Synapse that is used.
pub const SYNAPSE_VERSION: &str = "1.163.2";

/// An environment: what it is called, and the packages that it has.
pub struct Environment {
    /// What is installed, for people.
    what: &'static str,
    /// The folder's name.
    name: &'static str,
    packages: &'static [&'static str],
}

/// Runs `-m synapse.app.homeserver`.
pub const SYNAPSE: Environment = Environment {
    what: "Synapse",
    name: "synapse-1.163.2-oidc",
    // With Authlib it signs people in at a provider.
    packages: &["matrix-synapse==1.163.2", "Authlib==1.9.9"],
};
/// Runs the client of `tests/browser/authlib_client.py`.
pub const AUTHLIB: Environment =
    Environment { what: "Authlib", name: "authlib-1.9.9", packages: &["Authlib==1.9.9", "requests==2.34.2"] };
/// Runs the identity provider of `tests/browser/saml_provider.py`, which signs by `xmlsec1`.
pub const PYSAML2: Environment = Environment { what: "pysaml2", name: "pysaml2-7.5.5", packages: &["pysaml2==7.5.5"] };
/// Runs `tests/schema`.
pub const SCHEMATHESIS: Environment =
    Environment { what: "schemathesis", name: "schemathesis-4.32.5", packages: &["schemathesis==4.32.5"] };

impl Environment {
    /// Its interpreter.
    pub fn interpreter(&self, paths: &Paths) -> PathBuf {
        self.folder(paths).join("bin/python")
    }

    /// Whether it is there.
    pub fn is_installed(&self, paths: &Paths) -> bool {
        self.folder(paths).join("installed").is_file()
    }

    /// Makes it if it is missing.
    pub fn ensure(&self, paths: &Paths, progress: &Progress) -> Result<()> {
        if self.is_installed(paths) {
            return Ok(());
        }
        tools::require("python3", "install Python 3.10 or later: only --with-matrix, the e2e and the browser tests need it")?;
        let step = progress.step(format!("installing {} from PyPI", self.packages.join(", ")));
        let log = paths.log(&format!("install-{}", self.name));
        // What an interrupted install left would only confuse this one.
        let _ = fs::remove_dir_all(self.folder(paths));
        let mut environment = Command::new("python3");
        environment.args(["-m", "venv"]).arg(self.folder(paths));
        process::run(&step, &mut environment, &log)
            .context("failed to make a Python environment; Debian wants the package python3-venv")?;
        let mut install = Command::new(self.interpreter(paths));
        install.args(["-m", "pip", "install", "--disable-pip-version-check", "--no-input"]).args(self.packages);
        process::run(&step, &mut install, &log)
            .with_context(|| format!("failed to install {}; is PyPI reachable?", self.what))?;
        fs::write(self.folder(paths).join("installed"), self.name)?;
        step.done();
        Ok(())
    }

    fn folder(&self, paths: &Paths) -> PathBuf {
        paths.tools().join(self.name)
    }
}
