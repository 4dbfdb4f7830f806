//! Faults, by a schedule that the seed decides: the server is killed, the homeserver stands still or goes away, the clock steps.

use crate::run::Run;
use crate::seeded::Seeded;
use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokio::process::Command;

/// One fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// SIGKILL to the server's process group, and a start on the same data.
    Kill,
    /// SIGSTOP to the homeserver, and SIGCONT some seconds later.
    Freeze,
    /// SIGKILL to the homeserver, and a start some seconds later.
    Away,
    /// The clock is set so many milliseconds ahead of the machine's.
    Clock(i64),
}

/// How far ahead the clock is set. Less than a day in all: what is promised about ended sessions holds that far.
const OFFSETS: [i64; 9] = [0, 2_000, -2_000, 45_000, -40_000, 12 * 60_000, -15 * 60_000, 70 * 60_000, 4 * 3_600_000];

/// When which fault comes, in seconds of the run. Runs of four minutes and more have a stretch without kills, for memory's sake.
pub fn schedule(seed: u64, seconds: u64, clock_moves: bool) -> Vec<(u64, Fault)> {
    let mut seeded = Seeded::new(seed, 1);
    let mut faults = Vec::new();
    let mut at = 6 + seeded.between(0, 4);
    // However short the run, one of each comes first.
    let mut first = vec![Fault::Clock(70 * 60_000), Fault::Kill, Fault::Away, Fault::Clock(-15 * 60_000), Fault::Freeze];
    while at + 8 < seconds {
        let quiet = seconds >= 240 && (seconds * 2 / 5..seconds * 9 / 10).contains(&at);
        let fault = match first.pop() {
            Some(fault) => fault,
            None => {
                let clock = Fault::Clock(OFFSETS[usize::try_from(seeded.between(0, OFFSETS.len() as u64)).unwrap_or(0)]);
                seeded.pick(&[(if quiet { 0 } else { 4 }, Fault::Kill), (2, Fault::Freeze), (2, Fault::Away), (3, clock)])
            }
        };
        if clock_moves || !matches!(fault, Fault::Clock(_)) {
            faults.push((at, fault));
        }
        at += seeded.between(5, 14);
    }
    faults
}

/// What the supervisor says is up now.
fn up() -> Result<Value> {
    let path = std::env::var_os("TMCP_UP").map(PathBuf::from).context("TMCP_UP is not set")?;
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(serde_json::from_str(&text)?)
}

fn group(name: &str) -> Result<Pid> {
    let up = up()?;
    let id = up[name].as_i64().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    id.with_context(|| format!("up.json has no {name}"))
}

/// The id of the server's process group.
pub fn server_group() -> Option<i32> {
    group("pid").ok().map(|pid| pid.as_raw_nonzero().get())
}

/// The command that starts a part again.
async fn restart(more: &[&str]) -> Result<()> {
    let up = up()?;
    let words: Vec<&str> = up["restart"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let (program, arguments) = words.split_first().context("up.json has no command that restarts")?;
    let output = Command::new(program).args(arguments).args(more).output().await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// Kills the server, for good or until [`start_server`].
pub fn kill_server(run: &Run) -> Result<()> {
    run.disturb(2_000);
    Ok(kill_process_group(group("pid")?, Signal::KILL)?)
}

/// Starts the server again.
pub async fn start_server(run: &Run) -> Result<()> {
    run.disturb(60_000);
    restart(&[]).await.context("the server did not come back")?;
    Ok(())
}

async fn inject(run: &Run, fault: Fault, wait: Duration) -> Result<()> {
    let began = Instant::now();
    match fault {
        Fault::Kill => {
            run.report.fault("server killed and restarted");
            kill_server(run)?;
            tokio::time::sleep(wait / 4).await;
            start_server(run).await?;
            run.report.say(&format!("the server was killed, and is back after {:.1} s", began.elapsed().as_secs_f64()));
        }
        Fault::Freeze => {
            run.report.fault("homeserver stood still");
            let homeserver = group("synapse_pid")?;
            kill_process_group(homeserver, Signal::STOP)?;
            tokio::time::sleep(wait).await;
            kill_process_group(homeserver, Signal::CONT)?;
            run.report.say(&format!("the homeserver stood still for {:.1} s", began.elapsed().as_secs_f64()));
        }
        Fault::Away => {
            run.report.fault("homeserver killed and restarted");
            kill_process_group(group("synapse_pid")?, Signal::KILL)?;
            tokio::time::sleep(wait).await;
            restart(&["--homeserver"]).await.context("the homeserver did not come back")?;
            run.report.say(&format!("the homeserver was killed, and is back after {:.1} s", began.elapsed().as_secs_f64()));
        }
        Fault::Clock(offset) => {
            run.report.fault("clock stepped");
            step(run, offset)?;
        }
    }
    Ok(())
}

/// Moves the clock, and says so.
pub fn step(run: &Run, offset: i64) -> Result<()> {
    let by = offset - run.clock.offset();
    run.steps.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    run.clock.step_to(offset)?;
    // Whoever read the count before the step, and the clock after it, sees it change.
    run.steps.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    run.report.say(&format!("the clock stepped by {:+.1} s, to {:+.1} s", by as f64 / 1000.0, offset as f64 / 1000.0));
    Ok(())
}

/// Injects the schedule's faults until the run's time is over.
pub async fn inject_all(run: &Run, seed: u64, began: Instant, seconds: u64) -> Result<()> {
    let mut seeded = Seeded::new(seed, 2);
    for (at, fault) in schedule(seed, seconds, run.clock.moves()) {
        let wait = Duration::from_millis(seeded.between(1_000, 6_000));
        tokio::time::sleep_until((began + Duration::from_secs(at)).into()).await;
        if began.elapsed().as_secs() + 5 > seconds {
            break;
        }
        inject(run, fault, wait).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_one_schedule_with_one_of_each_and_a_quiet_stretch() {
        assert_eq!(schedule(7, 600, true), schedule(7, 600, true));
        assert_ne!(schedule(7, 600, true), schedule(8, 600, true));
        for seed in 0..50 {
            let short = schedule(seed, 60, true);
            for kind in [Fault::Kill, Fault::Freeze, Fault::Away] {
                assert!(short.iter().any(|(_, fault)| *fault == kind), "{seed} {short:?}");
            }
            let long = schedule(seed, 600, false);
            assert!(!long.iter().any(|(_, fault)| matches!(fault, Fault::Clock(_))));
            assert!(!long.iter().any(|(at, fault)| *fault == Fault::Kill && (240..540).contains(at)));
        }
    }
}
