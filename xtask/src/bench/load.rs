//! The load generator: built once, then run for every measurement on a core of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::bench::machine;
use crate::files;
use crate::interrupt;
use crate::paths::Paths;
use crate::process;
use crate::progress::Progress;
use crate::tools;

/// The cargo profile of what measures and of the host that is measured on.
pub const PROFILE: &str = "measured";

/// The built load generator.
pub struct Load {
    program: PathBuf,
    folder: PathBuf,
}

/// What one run measured: the fields that `bench-load` prints.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Measured {
    /// Answers inside the window.
    pub requests: u64,
    /// Answers per second.
    pub throughput: f64,
    /// Median latency.
    pub p50_us: u64,
    /// 99th percentile.
    pub p99_us: u64,
    /// CPU of the server's process tree per request.
    pub server_cpu_us: Option<f64>,
    /// The same as a share of one core.
    pub server_cpu_share: Option<f64>,
    /// Resident memory of the server's process tree.
    pub server_rss: Option<u64>,
    /// CPU of the load generator as a share of one core.
    pub load_cpu_share: f64,
    /// Connections that the server closed.
    pub reopened: u64,
}

impl Load {
    /// Builds it.
    pub fn build(paths: &Paths, progress: &Progress) -> Result<Self> {
        let step = progress.step("building bench/load");
        let mut build = tools::cargo(paths);
        build.args(["build", "--profile", PROFILE, "--package", "tmcp-bench-load"]);
        process::run(&step, &mut build, &paths.log("build-bench-load")).context("failed to build bench/load")?;
        step.done();
        let folder = super::folder(paths);
        files::make_folder(&folder)?;
        // A copy: a build of another clone must not change what measures.
        let program = folder.join("bench-load");
        files::copy(&paths.cargo_target.join(PROFILE).join("bench-load"), &program)?;
        Ok(Self { program, folder })
    }

    /// Runs a plan to its end.
    pub fn run(&self, plan: &Value) -> Result<Measured> {
        let file = self.folder.join("load-plan.json");
        files::write_json(&file, plan)?;
        let mut command = machine::pinned(&self.program, machine::LOAD_CORE);
        command.arg("run").arg(&file).stdin(Stdio::null());
        let output = command.output().context("cannot run the load generator")?;
        if interrupt::stop_wanted() {
            bail!("interrupted");
        }
        if !output.status.success() {
            let error = String::from_utf8_lossy(&output.stderr);
            bail!("{}", error.trim().trim_start_matches("error: "));
        }
        serde_json::from_slice(&output.stdout).context("the load generator's answer is not what it was")
    }

    /// Writes a plan for somebody who wants to run it by hand; gives the command.
    pub fn by_hand(&self, plan: &Value, name: &str) -> Result<String> {
        let file = self.folder.join(format!("hold-{name}.json"));
        files::write_json(&file, plan)?;
        Ok(format!("taskset -c {} {} run {}", machine::LOAD_CORE, self.program.display(), file.display()))
    }

    /// The trivial server, on the servers' core; its process and its origin.
    pub fn idle(&self) -> Result<(crate::group::Group, String)> {
        let log = self.folder.join("idle.log");
        let _ = std::fs::remove_file(&log);
        let mut command: Command = machine::pinned(&self.program, machine::SERVER_CORE);
        command.arg("idle");
        let group = crate::group::Group::start("the idle server", &mut command, &log)?;
        let port = wait_for_line(&log)?;
        Ok((group, format!("http://127.0.0.1:{port}")))
    }
}

fn wait_for_line(log: &Path) -> Result<String> {
    for _ in 0..100 {
        let text = std::fs::read_to_string(log).unwrap_or_default();
        if let Some((line, _)) = text.split_once('\n') {
            return Ok(line.trim().to_owned());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    bail!("{} says nothing", log.display())
}
