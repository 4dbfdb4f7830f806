//! Running wrangler on a rendered manifest: its output in a log, its input from a pipe, its time bounded.

use std::fs::File;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::Signal;

use crate::deploy::environment::Environment;
use crate::files;
use crate::interrupt;
use crate::log;
use crate::paths::Paths;
use crate::process;
use crate::progress::Step;
use crate::tools::npm::Npm;

/// No call of wrangler needs longer.
const LIMIT: Duration = Duration::from_secs(600);
/// What fits into a pipe whether or not somebody reads.
const PIPE: usize = 64 * 1024;

/// Wrangler with a manifest, and with its own notes beside that.
pub fn command(paths: &Paths, environment: &Environment, manifest: &Path) -> Command {
    let mut command = Npm::new(paths).wrangler();
    let folder = environment.folder(paths);
    command.current_dir(manifest.parent().unwrap_or(&folder));
    command.env("WRANGLER_LOG_PATH", folder.join("wrangler-logs"));
    // The manifest is rendered for one environment: wrangler's own environments would change the names again.
    command.env_remove("CLOUDFLARE_ENV");
    // Requests with their bodies, and bodies hold secrets.
    command.env("WRANGLER_LOG", "log").env("WRANGLER_LOG_SANITIZE", "true");
    command.arg("--config").arg(manifest);
    command
}

/// Runs it to its end. `input` reaches it through a pipe, never through a file or an argument.
pub fn run(step: &Step, mut command: Command, input: Option<&[u8]>, log: &Path) -> Result<()> {
    files::make_parent(log)?;
    let out = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    let input = input.unwrap_or_default();
    ensure!(input.len() < PIPE, "the secrets of one Worker are longer than {PIPE} bytes");
    command.stdin(Stdio::piped()).stdout(out.try_clone()?).stderr(out).process_group(0);
    let mut child = Running(command.spawn().context("cannot run wrangler")?);
    if let Some(mut pipe) = child.0.stdin.take() {
        // A wrangler that has ended already says why in its log.
        let _ = pipe.write_all(input);
    }
    let started = Instant::now();
    loop {
        if let Some(status) = child.0.try_wait()? {
            if status.success() {
                return Ok(());
            }
            bail!("{} (log: {})", reason(&log::last_lines(log, 200)).unwrap_or_else(|| log::first_error(log)), log.display());
        }
        if interrupt::stop_wanted() {
            bail!("interrupted");
        }
        if started.elapsed() > LIMIT {
            bail!("wrangler did not end within {} minutes (log: {})", LIMIT.as_secs() / 60, log.display());
        }
        step.tick(|| log::last_lines(log, 1).pop().unwrap_or_default());
        sleep(Duration::from_millis(50));
    }
}

/// Wrangler's error with the line below it: the API's own words.
fn reason(lines: &[String]) -> Option<String> {
    let mut lines = lines.iter().skip_while(|line| !line.contains("[ERROR]"));
    let error = lines.next()?.split("[ERROR]").nth(1)?.trim().to_owned();
    let below = lines.next().filter(|line| line.contains("[code:"));
    Some(below.map_or_else(|| error.clone(), |below| format!("{error} {below}")))
}

/// A child that is killed with its group if it is left before it has ended.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        if let (Ok(None), Some(group)) = (self.0.try_wait(), process::pid(self.0.id())) {
            let _ = rustix::process::kill_process_group(group, Signal::KILL);
            let _ = self.0.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_has_the_words_of_the_api() {
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        let log = lines("Uploaded x\n✘ [ERROR] A request to the Cloudflare API (/a) failed.\nno such thing [code: 7]\nbye");
        assert_eq!(reason(&log).unwrap(), "A request to the Cloudflare API (/a) failed. no such thing [code: 7]");
        assert_eq!(reason(&lines("✘ [ERROR] Build failed\nmore")).unwrap(), "Build failed");
        assert!(reason(&lines("Killed")).is_none());
    }
}
