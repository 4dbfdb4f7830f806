//! Child processes that keep running: each leads a process group, which is stopped whole.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use rustix::process::Signal;

use crate::progress::Step;
use crate::{files, interrupt, log, process};

/// How long a group may take to end by itself before it is killed.
const GRACE: Duration = Duration::from_secs(5);

/// A child that keeps running, with everything it starts.
pub struct Group {
    name: &'static str,
    child: Child,
    log: PathBuf,
    ended: Option<ExitStatus>,
}

impl Group {
    /// Starts `command` as the leader of a new group; its output is added to the end of `log`.
    pub fn start(name: &'static str, command: &mut Command, log: &Path) -> Result<Self> {
        files::make_parent(log)?;
        let out = OpenOptions::new().create(true).append(true).open(log)?;
        let child = process::spawn(command, out)?;
        Ok(Self { name, child, log: log.to_path_buf(), ended: None })
    }

    /// Process id of the leader, which is also the group's id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How the leader ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().ok().flatten();
        }
        self.ended
    }

    /// Waits until `ready` says so; fails when the leader ends before, on a wish to stop, or after `limit`.
    pub fn wait_until(&mut self, limit: Duration, step: &Step, ready: impl Fn() -> bool) -> Result<()> {
        let started = Instant::now();
        while !ready() {
            let shown = self.log.display().to_string();
            if let Some(status) = self.ended() {
                let why = log::first_error(&self.log);
                bail!("{} ended before it was ready ({status}): {why} (log: {shown})", self.name);
            }
            if interrupt::stop_wanted() {
                bail!("interrupted");
            }
            if started.elapsed() > limit {
                bail!("{} did not get ready within {} s: see {shown}", self.name, limit.as_secs());
            }
            step.tick(|| log::last_lines(&self.log, 1).pop().unwrap_or_default());
            sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    /// Ends the whole group: asks first, kills after a grace period.
    pub fn stop(&mut self) {
        let Some(group) = process::pid(self.child.id()) else { return };
        let _ = rustix::process::kill_process_group(group, Signal::TERM);
        let asked = Instant::now();
        while asked.elapsed() < GRACE {
            let ended = self.ended().is_some();
            if ended && rustix::process::test_kill_process_group(group).is_err() {
                return;
            }
            sleep(Duration::from_millis(50));
        }
        let _ = rustix::process::kill_process_group(group, Signal::KILL);
        self.ended = self.child.wait().ok();
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.stop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_group_is_stopped_with_its_children() {
        let log = std::env::temp_dir().join(format!("xtask-group-{}.log", std::process::id()));
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 60 & sleep 60; true"]);
        let mut group = Group::start("sleepers", &mut command, &log).unwrap();
        let id = process::pid(group.id()).unwrap();
        sleep(Duration::from_millis(100));
        assert!(group.ended().is_none());
        assert!(process::is_ours(group.id(), "sleep 60"));
        group.stop();
        assert!(group.ended().is_some());
        sleep(Duration::from_millis(100));
        assert!(rustix::process::test_kill_process_group(id).is_err());
        fs::remove_file(log).unwrap();
    }
}
