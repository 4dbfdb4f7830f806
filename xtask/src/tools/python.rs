//! Synapse, the Matrix homeserver that sign-in is tested against: a Python virtual environment in the cache.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::paths::Paths;
use crate::process;
use crate::progress::Progress;
use crate::tools;

/// The one version that is used.
pub const SYNAPSE_VERSION: &str = "1.163.2";

/// The environment's interpreter, which runs `-m synapse.app.homeserver`.
pub fn interpreter(paths: &Paths) -> PathBuf {
    folder(paths).join("bin/python")
}

/// Whether Synapse is installed.
pub fn is_installed(paths: &Paths) -> bool {
    folder(paths).join("installed").is_file()
}

/// Makes the environment and installs Synapse if that is missing.
pub fn ensure(paths: &Paths, progress: &Progress) -> Result<()> {
    if is_installed(paths) {
        return Ok(());
    }
    tools::require("python3", "install Python 3.10 or later: only --with-matrix and the e2e tests need it")?;
    let step = progress.step(format!("installing Synapse {SYNAPSE_VERSION} from PyPI"));
    let log = paths.log("install-synapse");
    // What an interrupted install left would only confuse this one.
    let _ = fs::remove_dir_all(folder(paths));
    let mut environment = Command::new("python3");
    environment.args(["-m", "venv"]).arg(folder(paths));
    process::run(&step, &mut environment, &log)
        .context("failed to make a Python environment; Debian wants the package python3-venv")?;
    let mut install = Command::new(interpreter(paths));
    install.args(["-m", "pip", "install", "--disable-pip-version-check", "--no-input"]);
    install.arg(format!("matrix-synapse=={SYNAPSE_VERSION}"));
    process::run(&step, &mut install, &log).context("failed to install Synapse; is PyPI reachable?")?;
    fs::write(folder(paths).join("installed"), SYNAPSE_VERSION)?;
    step.done();
    Ok(())
}

fn folder(paths: &Paths) -> PathBuf {
    paths.tools().join(format!("synapse-{SYNAPSE_VERSION}"))
}
