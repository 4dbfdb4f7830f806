//! `cargo xtask down`, `status` and `restart`: about what `up.json` says is up.

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use rustix::process::Signal;

use crate::http;
use crate::paths::{self, Paths};
use crate::process;
use crate::progress::Progress;
use crate::up::state::{self, DataLock, Up};
use crate::up::{keycloak, synapse};

/// How long the supervisor may take to end everything.
const DOWN_LIMIT: Duration = Duration::from_secs(30);
/// How long the server may take to come back.
const RESTART_LIMIT: Duration = Duration::from_secs(100);

/// `cargo xtask down`.
pub fn down(up_file: &Path) -> Result<()> {
    let was_up = end(up_file, &Progress::new())?;
    println!("{}", if was_up { "stopped" } else { "nothing is up" });
    Ok(())
}

/// Ends what is up, and what a killed supervisor left behind; says whether there was anything.
pub fn end(up_file: &Path, progress: &Progress) -> Result<bool> {
    let Some(up) = Up::read(up_file)? else { return Ok(false) };
    let step = progress.step("stopping");
    if DataLock::is_held(&up.data_dir) {
        process::signal(up.supervisor_pid, Signal::TERM);
        let asked = Instant::now();
        while DataLock::is_held(&up.data_dir) {
            if asked.elapsed() > DOWN_LIMIT {
                bail!("the supervisor (process {}) does not end", up.supervisor_pid);
            }
            step.tick(String::new);
            sleep(Duration::from_millis(50));
        }
    }
    for left in leftovers(&up) {
        process::kill_group(left);
    }
    state::forget(up_file);
    step.done();
    Ok(true)
}

/// Prints what runs. Fails if nothing does.
pub fn status(paths: &Paths, up_file: &Path) -> Result<()> {
    let Some(up) = Up::read(up_file)? else { bail!("nothing is up: `cargo xtask up` starts it") };
    let word = |runs: bool| if runs { "runs" } else { "is down" };
    let answers = http::get(&format!("{}/ops/health", up.base_url)).is_ok_and(|answer| answer.status == 200);
    let supervised = DataLock::is_held(&up.data_dir);
    println!("supervisor  {} (process {})", word(supervised), up.supervisor_pid);
    println!("server      {} on {} (process {}), {}", word(answers), up.runtime.name(), up.pid, up.base_url);
    if let (Some(url), Some(id)) = (&up.matrix_url, up.synapse_pid) {
        let runs = http::get(&format!("{url}/_matrix/client/versions")).is_ok();
        println!("Synapse     {} (process {id}), {url}", word(runs));
    }
    if let (Some(url), Some(id)) = (&up.keycloak_url, up.keycloak_pid) {
        let runs = http::get(&format!("{url}/realms/tween")).is_ok();
        println!("Keycloak    {} (process {id}), {url}", word(runs));
    }
    println!("data        {}", paths::shown(&up.data_dir, &paths.root));
    println!("logs        {}", paths::shown(&up.log_dir, &paths.root));
    if !supervised || !answers {
        bail!("not everything runs: `cargo xtask restart` starts the server, `cargo xtask down` clears up");
    }
    Ok(())
}

/// Starts the server, or the homeserver, again on the same data: ends it first if it still runs.
pub fn restart(up_file: &Path, homeserver: bool) -> Result<()> {
    let Some(before) = Up::read(up_file)? else { bail!("nothing is up: `cargo xtask up` starts it") };
    if homeserver && before.synapse_pid.is_none() {
        bail!("no homeserver is up: `cargo xtask up --with-matrix` starts one");
    }
    let signal = if homeserver { Signal::USR2 } else { Signal::USR1 };
    if !DataLock::is_held(&before.data_dir) || !process::signal(before.supervisor_pid, signal) {
        bail!("the supervisor is gone: `cargo xtask down`, then `cargo xtask up`");
    }
    let name = if homeserver { "the homeserver" } else { "the server" };
    let step = Progress::new().step(format!("starting {name} again"));
    let asked = Instant::now();
    loop {
        let now = Up::read(up_file)?;
        match now {
            Some(now) if (now.pid, now.synapse_pid) != (before.pid, before.synapse_pid) => break,
            Some(_) if asked.elapsed() < RESTART_LIMIT => sleep(Duration::from_millis(50)),
            _ => bail!("{name} did not come back: see {}", before.log_dir.display()),
        }
        step.tick(String::new);
    }
    step.done();
    Ok(())
}

/// Groups that `up` started and that nobody owns any more.
fn leftovers(up: &Up) -> Vec<u32> {
    let data = up.data_dir.display().to_string();
    let mark = synapse::mark(&up.data_dir).display().to_string();
    let synapse = up.synapse_pid.filter(|id| process::is_ours(*id, &mark));
    let keycloak = up.keycloak_pid.filter(|id| process::is_ours(*id, &keycloak::mark(&up.data_dir)));
    std::iter::once(up.pid).filter(|id| process::is_ours(*id, &data)).chain(synapse).chain(keycloak).collect()
}
