//! What the project needs on a machine, and installing what is missing, once, into the cache folder.

pub mod cargo_tools;
pub mod chromium;
pub mod keycloak;
pub mod npm;
pub mod python;
pub mod rust;
mod shared_target;
pub mod spin;
pub mod xmlsec;

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::files;
use crate::paths::Paths;
use crate::process;
use crate::progress::Progress;

/// Held while something in the cache folder changes that all clones share. Released when dropped.
pub struct CacheLock {
    _file: File,
}

/// Waits until no other xtask installs tools.
pub fn install_lock(paths: &Paths, progress: &Progress) -> Result<CacheLock> {
    lock(&paths.tools().join("install.lock"), "installs tools", progress)
}

/// Waits until no other xtask builds: the modules of all clones come out under the same names.
pub fn build_lock(paths: &Paths, progress: &Progress) -> Result<CacheLock> {
    lock(&paths.cargo_target.join("xtask-build.lock"), "builds", progress)
}

fn lock(path: &Path, doing: &str, progress: &Progress) -> Result<CacheLock> {
    files::make_parent(path)?;
    let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let step = progress.step(format!("waiting for another xtask that {doing}"));
            while let Err(TryLockError::WouldBlock) = file.try_lock() {
                if crate::interrupt::stop_wanted() {
                    bail!("interrupted");
                }
                step.tick(String::new);
                std::thread::sleep(std::time::Duration::from_millis(200));
            }
            step.done();
        }
        Err(TryLockError::Error(error)) => return Err(error).context("cannot lock the cache folder"),
    }
    Ok(CacheLock { _file: file })
}

/// Whether Debian's packages can be installed here.
pub fn is_debian_root() -> bool {
    let root = process::output(Command::new("id").arg("-u")).is_some_and(|id| id.trim() == "0");
    root && process::which("apt-get").is_some()
}

/// Installs packages from Debian.
pub fn apt_install(paths: &Paths, progress: &Progress, what: &str, packages: &[&str]) -> Result<()> {
    let step = progress.step(format!("installing {what} from Debian"));
    let log = paths.log(&format!("install-{}", what.to_lowercase().replace(' ', "-")));
    let install = [&["install", "--yes", "--no-install-recommends"], packages].concat();
    for args in [&["update"][..], &install] {
        let mut command = Command::new("apt-get");
        command.args(args).env("DEBIAN_FRONTEND", "noninteractive");
        process::run(&step, &mut command, &log).with_context(|| format!("failed to install {what}"))?;
    }
    step.done();
    Ok(())
}

/// A program under one of these names: the machine's, else that of a package of Debian's, which needs root.
pub fn program_or_package(
    paths: &Paths,
    progress: &Progress,
    what: &str,
    names: &[&str],
    package: &str,
    advice: &str,
) -> Result<PathBuf> {
    let found = || names.iter().find_map(|name| process::which(name));
    if let Some(program) = found() {
        return Ok(program);
    }
    if !is_debian_root() {
        bail!("there is no {what} on PATH: {advice}");
    }
    apt_install(paths, progress, what, &[package])?;
    found().with_context(|| format!("{what} was installed and is not on PATH"))
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
    command.current_dir(&paths.root).env("CARGO_TARGET_DIR", shared_target(paths));
    clean_environment(&mut command);
    command
}

/// The target folder of child cargo processes, with nothing in it that another clone made of our crates. Where that cannot be told,
/// the folder cannot be written, and cargo says so better.
pub fn shared_target(paths: &Paths) -> &Path {
    let _ = shared_target::claim(&paths.cargo_target, &paths.root);
    &paths.cargo_target
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
