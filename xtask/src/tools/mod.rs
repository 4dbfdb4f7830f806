//! What the project needs on a machine, and installing what is missing, once, into the cache folder.

pub mod cargo_tools;
pub mod npm;
pub mod python;
pub mod rust;
pub mod spin;

use std::fs::{File, TryLockError};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::files;
use crate::paths::Paths;
use crate::process;
use crate::progress::Progress;

/// Held while installing, so that two xtask runs do not install at once. Released when dropped.
pub struct InstallLock {
    _file: File,
}

/// Waits for the install lock.
pub fn lock(paths: &Paths, progress: &Progress) -> Result<InstallLock> {
    let path = paths.tools().join("install.lock");
    files::make_parent(&path)?;
    let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let step = progress.step("waiting for another xtask that installs tools");
            while let Err(TryLockError::WouldBlock) = file.try_lock() {
                if crate::interrupt::stop_wanted() {
                    bail!("interrupted");
                }
                step.tick(String::new);
                std::thread::sleep(std::time::Duration::from_millis(200));
            }
            step.done();
        }
        Err(TryLockError::Error(error)) => return Err(error).context("cannot lock the tools folder"),
    }
    Ok(InstallLock { _file: file })
}

/// Fails with what to do when a program is not on PATH.
pub fn require(program: &str, advice: &str) -> Result<()> {
    match process::which(program) {
        Some(_) => Ok(()),
        None => bail!("{program} is missing: {advice}"),
    }
}

/// A cargo command for a child: in the workspace, with output in the shared target folder, and without what the
/// cargo that runs xtask has put into the environment (some build scripts would run again for it).
pub fn cargo(paths: &Paths) -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(&paths.root);
    clean_environment(&mut command);
    command.env("CARGO_TARGET_DIR", &paths.cargo_target);
    command
}

/// Takes out of a command's environment what `cargo run` added to ours.
pub fn clean_environment(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let added = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_", "CARGO_PRIMARY_"];
        if added.iter().any(|prefix| text.starts_with(prefix)) || text == "CARGO" {
            command.env_remove(&name);
        }
    }
}
