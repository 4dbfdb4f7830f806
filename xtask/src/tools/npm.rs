//! Programs that come from npm, pinned by `xtask/npm/package-lock.json`: Node 22, wrangler with workerd, esbuild,
//! and binaryen's `wasm-opt`.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::files;
use crate::paths::Paths;
use crate::process;
use crate::progress::Progress;
use crate::tools;

/// Where the programs of the installed packages lie.
pub struct Npm {
    folder: PathBuf,
}

impl Npm {
    /// Names the places; they hold something after [`Npm::ensure`].
    pub fn new(paths: &Paths) -> Self {
        Self { folder: paths.tools().join("npm") }
    }

    /// Whether what the lock file of this clone asks for is installed.
    pub fn is_installed(&self, paths: &Paths) -> bool {
        let stamp = fs::read_to_string(self.stamp()).unwrap_or_default();
        self.node().is_file() && digest(&lock_file(paths)).is_ok_and(|wanted| wanted == stamp)
    }

    /// Installs the packages with `npm ci` if they are missing or others.
    pub fn ensure(&self, paths: &Paths, progress: &Progress) -> Result<()> {
        if self.is_installed(paths) {
            return Ok(());
        }
        let advice = "install Node.js with npm (any version from 18 on)";
        tools::require("node", advice)?;
        tools::require("npm", advice)?;
        let step = progress.step("installing wrangler, workerd, esbuild and wasm-opt from npm");
        let log = paths.log("install-npm");
        files::make_folder(&self.folder)?;
        let _ = fs::remove_file(self.stamp());
        for name in ["package.json", "package-lock.json"] {
            fs::copy(paths.root.join("xtask/npm").join(name), self.folder.join(name))?;
        }
        let mut install = Command::new("npm");
        install.args(["ci", "--no-audit", "--no-fund"]).current_dir(&self.folder);
        process::run(&step, &mut install, &log).context("failed to install from npm; is the registry reachable?")?;
        if !self.node().is_file() {
            // An npm that runs no install scripts leaves the package `node` without its program.
            let mut script = Command::new("node");
            script.arg("installArchSpecificPackage.js").current_dir(self.modules().join("node"));
            process::run(&step, &mut script, &log).context("failed to install Node 22 from npm")?;
        }
        fs::write(self.stamp(), digest(&lock_file(paths))?)?;
        step.done();
        Ok(())
    }

    /// A command that runs wrangler, with what keeps it quiet and on this machine.
    pub fn wrangler(&self) -> Command {
        let mut command = Command::new(self.node());
        command.arg(self.modules().join("wrangler/bin/wrangler.js"));
        tools::clean_environment(&mut command);
        command.envs([
            ("CI", "1"),
            ("WRANGLER_SEND_METRICS", "false"),
            ("WRANGLER_HIDE_BANNER", "true"),
            ("CLOUDFLARE_CF_FETCH_ENABLED", "false"),
            // Both would keep every request, with its URL, in the state folder.
            ("X_LOCAL_OBSERVABILITY", "false"),
            ("X_LOCAL_EXPLORER", "false"),
        ]);
        command
    }

    /// Node 22: wrangler needs it, whatever the machine has.
    pub fn node(&self) -> PathBuf {
        self.modules().join("node/bin/node")
    }

    /// The bundler that worker-build calls.
    pub fn esbuild(&self) -> PathBuf {
        self.modules().join(".bin/esbuild")
    }

    /// The optimiser that worker-build calls; a Node program, so PATH must have [`Npm::path`].
    pub fn wasm_opt(&self) -> PathBuf {
        self.modules().join(".bin/wasm-opt")
    }

    /// PATH with our Node before the machine's.
    pub fn path(&self) -> OsString {
        let machine = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(self.modules().join("node/bin"));
        std::env::join_paths(folders.chain(std::env::split_paths(&machine))).unwrap_or(machine)
    }

    /// The folder of an installed package.
    pub fn package(&self, name: &str) -> PathBuf {
        self.modules().join(name)
    }

    fn modules(&self) -> PathBuf {
        self.folder.join("node_modules")
    }

    fn stamp(&self) -> PathBuf {
        self.folder.join("installed")
    }
}

/// Installs what the lock file of a folder asks for, unless that has been done.
pub fn install(paths: &Paths, progress: &Progress, folder: &Path, of: &str) -> Result<()> {
    let _lock = tools::install_lock(paths, progress)?;
    Npm::new(paths).ensure(paths, progress)?;
    let wanted = digest(&folder.join("package-lock.json"))?;
    let stamp = folder.join("node_modules/.installed");
    if fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
        return Ok(());
    }
    let step = progress.step(format!("installing the packages of {of} from npm"));
    let mut command = command(paths, folder);
    command.args(["ci", "--no-audit", "--no-fund"]);
    let name = of.replace(' ', "-");
    process::run(&step, &mut command, &paths.log(&format!("install-{name}")))
        .context("failed to install from npm; is the registry reachable?")?;
    fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))?;
    step.done();
    Ok(())
}

/// npm in a folder, with our Node.
pub fn command(paths: &Paths, folder: &Path) -> Command {
    let mut command = Command::new("npm");
    command.current_dir(folder).env("PATH", Npm::new(paths).path());
    command
}

fn lock_file(paths: &Paths) -> PathBuf {
    paths.root.join("xtask/npm/package-lock.json")
}

fn digest(file: &Path) -> Result<String> {
    let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(format!("{:x}", Sha256::digest(bytes)))
}
