//! The machine: what it is, and which core does what.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::paths::Paths;
use crate::process;
use crate::tools::npm::Npm;
use crate::tools::python::SYNAPSE_VERSION;

/// Where servers run.
pub const SERVER_CORE: usize = 0;
/// Where the load generator runs.
pub const LOAD_CORE: usize = 1;

/// What the figures were measured on.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Machine {
    /// Processor, cores, memory, kernel.
    pub lines: Vec<String>,
    /// Programs and their versions.
    pub versions: Vec<(String, String)>,
}

impl Machine {
    /// Looks.
    pub fn look(paths: &Paths) -> Self {
        let cpu = field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown processor".into());
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let memory = field("/proc/meminfo", "MemTotal").unwrap_or_default();
        let gib = memory.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) >> 20;
        let kernel = process::output(Command::new("uname").arg("-sr")).unwrap_or_default();
        let lines = vec![format!("{cpu}, {cores} cores, {gib} GiB memory"), kernel];
        let node = process::output(Command::new(Npm::new(paths).node()).arg("--version"));
        let rust = process::output(Command::new("rustc").arg("--version"));
        let commit = process::output(Command::new("git").args(["rev-parse", "--short=12", "HEAD"]).current_dir(&paths.root));
        let changed = process::output(Command::new("git").args(["status", "--porcelain"]).current_dir(&paths.root))
            .is_some_and(|text| !text.is_empty());
        let commit = commit.map(|id| if changed { format!("{id}, with changes") } else { id });
        let mut versions =
            vec![("tmcp-edge", commit), ("Rust", rust), ("Node.js", node), ("Synapse", Some(SYNAPSE_VERSION.to_owned()))];
        for package in ["wrangler", "miniflare", "workerd"] {
            versions.push((package, package_version(paths, package)));
        }
        let versions = versions.into_iter().filter_map(|(name, version)| Some((name.to_owned(), version?))).collect();
        Self { lines, versions }
    }
}

/// The version of an npm package that the tools brought.
pub fn package_version(paths: &Paths, package: &str) -> Option<String> {
    let file = Npm::new(paths).package(package).join("package.json");
    let json: serde_json::Value = serde_json::from_str(&fs::read_to_string(file).ok()?).ok()?;
    json.get("version")?.as_str().map(str::to_owned)
}

/// The file system that a folder lies on: "ext4" or "tmpfs".
pub fn disk(folder: &Path) -> String {
    let there = folder.ancestors().find(|folder| folder.is_dir()).unwrap_or(Path::new("/"));
    let kind = process::output(Command::new("stat").args(["-f", "-c", "%T"]).arg(there));
    kind.unwrap_or_else(|| "an unknown file system".to_owned())
}

fn field(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// Whether servers and load can have a core each.
pub fn has_pinning() -> bool {
    std::thread::available_parallelism().is_ok_and(|cores| cores.get() >= 2) && process::which("taskset").is_some()
}

/// A command on one core, where the machine can do that.
pub fn pinned(program: &Path, core: usize) -> Command {
    if !has_pinning() {
        return Command::new(program);
    }
    let mut command = Command::new("taskset");
    command.args(["-c", &core.to_string()]).arg(program);
    command
}

/// Puts a process that runs, with all its threads, on the servers' core; what it starts later follows it.
pub fn pin(pid: u32) {
    if has_pinning() {
        let mut command = Command::new("taskset");
        process::output(command.args(["-a", "-c", "-p", &SERVER_CORE.to_string(), &pid.to_string()]));
    }
}
