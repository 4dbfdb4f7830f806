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

impl Measured {
    /// Windows of the same length as one: what is of each request by the requests, latencies by the middle one. `None` of none.
    pub fn together(parts: &[Self]) -> Option<Self> {
        let middle = |of: fn(&Self) -> u64| {
            let mut all: Vec<u64> = parts.iter().map(of).collect();
            all.sort_unstable();
            all.get(all.len() / 2).copied()
        };
        let (p50_us, p99_us) = (middle(|part| part.p50_us)?, middle(|part| part.p99_us)?);
        #[allow(clippy::cast_precision_loss, reason = "few windows, and no run has 2^52 requests")]
        let (windows, requests) = (parts.len() as f64, |part: &Self| part.requests as f64);
        let mean = |of: fn(&Self) -> Option<f64>| parts.iter().map(of).sum::<Option<f64>>().map(|sum| sum / windows);
        let all: f64 = parts.iter().map(requests).sum();
        let cpu_us: Option<f64> = parts.iter().map(|part| part.server_cpu_us.map(|cpu| cpu * requests(part))).sum();
        Some(Self {
            requests: parts.iter().map(|part| part.requests).sum(),
            throughput: mean(|part| Some(part.throughput))?,
            p50_us,
            p99_us,
            server_cpu_us: cpu_us.map(|cpu| cpu / all.max(1.0)),
            server_cpu_share: mean(|part| part.server_cpu_share),
            server_rss: parts.iter().filter_map(|part| part.server_rss).max(),
            load_cpu_share: mean(|part| Some(part.load_cpu_share))?,
            reopened: parts.iter().map(|part| part.reopened).sum(),
        })
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_added_by_what_they_saw() {
        let part = |requests: u64, p50_us, cpu_us| Measured {
            requests,
            throughput: f64::from(u32::try_from(requests).unwrap()) / 2.0,
            p50_us,
            p99_us: 9 * p50_us,
            server_cpu_us: cpu_us,
            server_cpu_share: cpu_us.map(|_| 1.0),
            server_rss: Some(requests),
            load_cpu_share: 0.1,
            reopened: 1,
        };
        let all =
            Measured::together(&[part(100, 30, Some(400.0)), part(300, 10, Some(200.0)), part(200, 20, Some(300.0))]).unwrap();
        assert_eq!((all.requests, all.p50_us, all.p99_us, all.reopened, all.server_rss), (600, 20, 180, 3, Some(300)));
        assert_eq!((all.throughput, all.server_cpu_share), (100.0, Some(1.0)));
        let cpu_us = all.server_cpu_us.unwrap();
        assert!((cpu_us - 160_000.0 / 600.0).abs() < 1e-9, "{cpu_us}");
        assert!(Measured::together(&[part(1, 1, None), part(1, 1, Some(1.0))]).unwrap().server_cpu_us.is_none());
        assert!(Measured::together(&[]).is_none());
    }
}
