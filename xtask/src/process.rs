//! Child processes that run to their end, and small things about processes.
//!
//! Each child leads a process group of its own: Ctrl-C reaches xtask alone, which then ends the groups it
//! started, by their ids.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal};

use crate::files;
use crate::interrupt;
use crate::log;
use crate::progress::Step;

/// A command that runs to its end.
pub struct Job {
    /// What to say when it fails: "failed to build storage".
    pub failure: String,
    /// What runs.
    pub command: Command,
    /// Where its output goes.
    pub log: PathBuf,
}

/// Runs `command` to its end, with its output in `log`. Fails with one line: the first error in the log.
pub fn run(step: &Step, command: &mut Command, log: &Path) -> Result<()> {
    let mut running = vec![Running::start(command, log, None)?];
    wait(step, &mut running)
}

/// Runs jobs, so many at a time. The first failure ends the others.
pub fn run_all(step: &Step, jobs: Vec<Job>, at_a_time: usize) -> Result<()> {
    let mut running = Vec::new();
    for mut job in jobs {
        while running.len() >= at_a_time.max(1) {
            wait_for_one(step, &mut running)?;
        }
        running.push(Running::start(&mut job.command, &job.log, Some(job.failure))?);
    }
    wait(step, &mut running)
}

/// A child that is to end by itself; killed with its group if it is dropped before.
struct Running {
    child: Child,
    log: PathBuf,
    failure: Option<String>,
    ended: bool,
}

impl Running {
    fn start(command: &mut Command, log: &Path, failure: Option<String>) -> Result<Self> {
        files::make_parent(log)?;
        let out = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        Ok(Self { child: spawn(command, out)?, log: log.to_path_buf(), failure, ended: false })
    }

    /// Whether it has ended; an error if it failed.
    fn has_ended(&mut self) -> Result<bool> {
        let Some(status) = self.child.try_wait()? else { return Ok(false) };
        self.ended = true;
        if status.success() {
            return Ok(true);
        }
        let error = anyhow::anyhow!("{} (log: {})", log::first_error(&self.log), self.log.display());
        Err(match self.failure.take() {
            Some(failure) => error.context(failure),
            None => error,
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let (false, Some(group)) = (self.ended, pid(self.child.id())) {
            let _ = rustix::process::kill_process_group(group, Signal::TERM);
            let _ = self.child.wait();
        }
    }
}

fn wait(step: &Step, running: &mut Vec<Running>) -> Result<()> {
    while !running.is_empty() {
        wait_for_one(step, running)?;
    }
    Ok(())
}

/// Waits until one of them has ended, and takes it off the list.
fn wait_for_one(step: &Step, running: &mut Vec<Running>) -> Result<()> {
    loop {
        for at in 0..running.len() {
            if running.get_mut(at).map_or(Ok(false), Running::has_ended)? {
                running.swap_remove(at);
                return Ok(());
            }
        }
        if interrupt::stop_wanted() {
            bail!("interrupted");
        }
        step.tick(|| running.last().and_then(|job| log::last_lines(&job.log, 1).pop()).unwrap_or_default());
        sleep(Duration::from_millis(50));
    }
}

/// The trimmed standard output of a short command, if it could be run and succeeded.
pub fn output(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    output.status.success().then_some(text)
}

/// The full path of a program on PATH.
pub fn which(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// Whether a process of this id lives, and its command line names `mark`, so that it is one we started.
pub fn is_ours(id: u32, mark: &str) -> bool {
    let from_proc = fs::read(format!("/proc/{id}/cmdline")).ok();
    from_proc
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
        .or_else(|| output(Command::new("ps").args(["-o", "args=", "-p", &id.to_string()])))
        .is_some_and(|line| line.contains(mark))
}

/// Sends a signal to one process; says whether it was there.
pub fn signal(id: u32, signal: Signal) -> bool {
    pid(id).is_some_and(|pid| rustix::process::kill_process(pid, signal).is_ok())
}

/// Kills the group that a process leads.
pub fn kill_group(id: u32) {
    if let Some(pid) = pid(id) {
        let _ = rustix::process::kill_process_group(pid, Signal::KILL);
    }
}

/// Starts a child in a group of its own, with no input and all output in one file.
pub fn spawn(command: &mut Command, out: File) -> Result<Child> {
    let err = out.try_clone()?;
    command.stdin(Stdio::null()).stdout(out).stderr(err).process_group(0);
    let program = command.get_program().to_string_lossy().into_owned();
    command.spawn().with_context(|| format!("cannot run {program}"))
}

/// The id in the form that the system calls want.
pub fn pid(id: u32) -> Option<Pid> {
    i32::try_from(id).ok().and_then(Pid::from_raw)
}
