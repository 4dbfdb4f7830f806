//! Load, faults, checks: `cargo xtask soak` starts a server and a homeserver, and then this program, which needs `TMCP_UP`.

mod check;
mod clock;
mod faults;
mod isolates;
mod memory;
mod model;
mod report;
mod run;
mod seeded;
mod sessions;
mod storing;

use anyhow::{Context, Result, bail};
use clap::Parser;
use isolates::Inspector;
use run::Run;
use seeded::Seeded;
use sessions::Pass;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use storing::Part;

/// People who store.
const PEOPLE: u64 = 3;
/// Apps they store in.
const APPS: u64 = 2;
/// Tasks per person and app.
const PARTS: u64 = 4;
/// Tasks that go through sessions.
const SESSIONS: u64 = 8;

/// Mixed load with faults against the server that TMCP_UP names.
#[derive(Parser)]
struct Args {
    /// How long the load runs.
    #[arg(long, default_value_t = 5)]
    minutes: u64,
    /// What the schedule of faults and the load follow.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The file that moves the server's clock; without one it is left alone.
    #[arg(long)]
    clock: Option<PathBuf>,
}

fn main() -> ExitCode {
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("no runtime")
        .and_then(|runtime| runtime.block_on(soak(Args::parse())));
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs everything, and says whether all was right.
async fn soak(args: Args) -> Result<bool> {
    let run = Arc::new(Run::new(args.clock)?);
    let seconds = args.minutes.max(1) * 60;
    let memory = Arc::new(Mutex::new(memory::Memory::default()));
    let (parts, sessions) = people(&run, args.seed).await;
    run.report.say(&format!("{} storage tasks and {} session tasks for {seconds} s", parts.len(), sessions.len()));

    let began = Instant::now();
    let storing: Vec<_> = parts
        .into_iter()
        .map(|part| {
            let run = run.clone();
            tokio::spawn(async move { part.work(&run).await })
        })
        .collect();
    let going: Vec<_> = sessions
        .into_iter()
        .enumerate()
        .map(|(n, (user, app))| {
            let (run, seeded) = (run.clone(), Seeded::new(args.seed, 1000 + n as u64));
            tokio::spawn(async move { sessions::task(&run, user, app, seeded).await })
        })
        .collect();
    let watching = tokio::spawn(watch(run.clone(), memory.clone(), began));
    let faults = faults::inject_all(&run, args.seed, began, seconds).await;
    if faults.is_ok() {
        tokio::time::sleep_until((began + Duration::from_secs(seconds)).into()).await;
    }
    run.end();
    let mut parts = Vec::new();
    for task in storing {
        parts.push(task.await.context("a storage task failed")?);
    }
    for task in going {
        task.await.context("a session task failed")?;
    }
    watching.await.context("the watch failed")?;
    faults?;

    let checked = checks(&run, &mut parts, began).await;
    let (lines, grown) = memory.lock().unwrap_or_else(PoisonError::into_inner).judge(run.world.up.runtime == "workers");
    grown.into_iter().for_each(|wrong| run.report.wrong(wrong));
    if let Err(error) = checked {
        run.report.wrong(format!("the checks ended early: {error:#}"));
    }
    println!("soak of {seconds} s on {} with seed {}", run.world.up.runtime, args.seed);
    println!("{}", run.report.summary());
    println!("memory:\n  {}", lines.join("\n  "));
    let wrong = run.report.findings();
    println!("{}", if wrong == 0 { "all is right".to_owned() } else { format!("{wrong} things are wrong") });
    Ok(wrong == 0)
}

type Sessions = Vec<(tmcp_e2e::MatrixUser, tmcp_e2e::App)>;

/// Accounts, apps, and who does what with them.
async fn people(run: &Run, seed: u64) -> (Vec<Part>, Sessions) {
    let (mut parts, mut sessions) = (Vec::new(), Vec::new());
    let mut apps = Vec::new();
    for _ in 0..APPS {
        apps.push(run.world.app().await);
    }
    for _ in 0..PEOPLE {
        let user = run.world.matrix_user().await;
        for app in &apps {
            let pass = Arc::new(Pass::new(user.clone(), app.clone()));
            for n in 0..PARTS {
                let seeded = Seeded::new(seed, 100 + parts.len() as u64);
                parts.push(Part::new(pass.clone(), format!("t{n}-"), seeded));
            }
        }
    }
    for n in 0..SESSIONS {
        let app = &apps[usize::try_from(n % APPS).unwrap_or(0)];
        sessions.push((run.world.matrix_user().await, app.clone()));
    }
    (parts, sessions)
}

/// How often memory is sampled. Isolates are asked to collect first, which takes them some milliseconds of work each.
const LOOKS: Duration = Duration::from_secs(2);
const LOOKS_AT_ISOLATES: Duration = Duration::from_secs(10);

/// Samples memory, and says from time to time how it goes.
async fn watch(run: Arc<Run>, memory: Arc<Mutex<memory::Memory>>, began: Instant) {
    let on_workers = run.world.up.runtime == "workers";
    let (mut group, mut inspector, mut said, mut before) = (None, None, began, 0);
    while !run.is_over() {
        let now = faults::server_group();
        if now != group {
            memory.lock().unwrap_or_else(PoisonError::into_inner).begin();
            (group, inspector) = (now, None);
        }
        let processes = || now.map(memory::processes).unwrap_or_default();
        if on_workers && inspector.is_none() {
            let workerds = processes().into_iter().filter(|process| process.name == "workerd");
            inspector = Inspector::find(workerds.map(|process| process.id)).await;
        }
        let isolates = match &inspector {
            Some(inspector) => inspector.collect().await,
            None => isolates::Kept::new(),
        };
        // Whoever tells nothing at all is not there any more.
        if isolates.is_empty() {
            inspector = None;
        }
        // Without its inspector workerd's memory says nothing: it is coming up, or going.
        let sample = match (&inspector, on_workers) {
            (None, true) => memory::Sample::new(),
            (ours, _) => memory::sample(&processes(), ours.as_ref().map(|ours| ours.process), isolates),
        };
        let megabytes = memory::resident(&sample) / 1024;
        memory.lock().unwrap_or_else(PoisonError::into_inner).add(began.elapsed().as_secs(), sample);
        if said.elapsed() >= Duration::from_secs(15) {
            let total = run.report.total();
            let rate = (total - before) as f64 / said.elapsed().as_secs_f64();
            run.report
                .say(&format!("{total} requests, {rate:.0} a second; server {megabytes} MB; {} wrong", run.report.findings()));
            (said, before) = (Instant::now(), total);
        }
        tokio::time::sleep(if inspector.is_some() { LOOKS_AT_ISOLATES } else { LOOKS }).await;
    }
}

/// Everything that must hold when the faults are over.
async fn checks(run: &Arc<Run>, parts: &mut [Part], began: Instant) -> Result<()> {
    run.report.say("the faults are over; checking");
    let lasted = i64::try_from(began.elapsed().as_millis()).unwrap_or(0);
    if run.clock.moves() {
        // Ahead of everything it has shown: what was written at any time lies in the past.
        let ahead = run.clock.most_since(clock::ours() - lasted) - clock::ours() + 15_000;
        faults::step(run, ahead)?;
    }
    if sessions::probe_health(run).await.is_none() {
        bail!("the server does not answer after the faults");
    }
    check::storage(run, parts, false).await?;
    check::families(run).await;
    if run.clock.moves() {
        // Intents are swept after an hour, garbage after ten minutes more.
        for minutes in [62, 12] {
            faults::step(run, run.clock.offset() + minutes * 60_000)?;
            check::maintain(run).await?;
        }
        check::storage(run, parts, true).await?;
        let under_keys = check::master_keys(run).await;
        check::still(run)?;
        tokio::time::sleep(Duration::from_millis(500)).await;
        check::rows(run, under_keys)?;
    }
    Ok(())
}
