//! The measurements themselves: rounds in which every target has every scenario once, in turns of a few seconds, so that whatever else the
//! machine does falls on all of them.

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::bench::load::{Load, Measured};
use crate::bench::results::{Results, Sample};
use crate::bench::scenario::{Ask, Scenario};
use crate::bench::server::Server;
use crate::bench::target::Target;
use crate::bench::{CONNECTIONS, Effort, TURNS};
use crate::interrupt;
use crate::paths::Paths;
use crate::progress::Progress;

/// What the load generator reaches when the server does nothing.
pub fn ceiling(load: &Load, effort: Effort, progress: &Progress) -> Result<Measured> {
    let step = progress.step("finding the load generator's ceiling");
    let (group, url) = load.idle()?;
    let plan = json!({"url": url, "pid": group.id(), "connections": CONNECTIONS, "warmup_ms": effort.warmup_ms,
        "window_ms": effort.window_ms, "expect": 200, "lanes": [{"requests": [{"method": "GET", "path": "/"}]}]});
    let measured = load.run(&plan)?;
    step.done();
    Ok(measured)
}

/// Stores what the gets will ask for.
pub fn prime(load: &Load, server: &Server, effort: Effort) -> Result<()> {
    let Some(target) = server.targets.iter().find(|target| Ask::Put(1).is_served_by(target.kind)) else { return Ok(()) };
    for bytes in [1024, 16_384] {
        let mut plan = server.plan(target, Ask::Put(bytes), effort)?;
        requests_each(&mut plan, 1);
        load.run(&plan).with_context(|| format!("storing values at {}", target.name))?;
    }
    Ok(())
}

/// Makes a plan end after so many requests on each connection.
pub fn requests_each(plan: &mut Value, count: u64) {
    if let Some(plan) = plan.as_object_mut() {
        plan.insert("requests_each".into(), count.into());
    }
}

/// All rounds. On Spin each has a process of its own: what is slow or fast about a process, such as where its code came to lie, falls on
/// one round and not on the target. On workerd V8 compiles for minutes what it is asked often, so that a process stays, as those of the
/// peers do, and is warm before the first round.
pub fn scenarios(
    paths: &Paths,
    load: &Load,
    servers: &mut [Server],
    scenarios: &[&'static Scenario],
    results: &mut Results,
    progress: &Progress,
) -> Result<()> {
    let effort = results.effort;
    let step = progress.step("storing the values that are read");
    servers.iter().try_for_each(|server| prime(load, server, effort))?;
    step.done();
    warm(load, servers, scenarios, effort, progress)?;
    let mut pairs: Vec<(usize, &'static Target)> =
        servers.iter().enumerate().flat_map(|(n, server)| server.targets.iter().map(move |target| (n, *target))).collect();
    for round in 0..effort.rounds {
        if round > 0 {
            let mut spin = servers.iter_mut().filter(|server| server.host.is_spin());
            spin.try_for_each(|server| server.renew(paths, progress))?;
        }
        let step = progress.step(format!("round {} of {}", round + 1, effort.rounds));
        for scenario in scenarios {
            let served: Vec<(&Server, &'static Target)> = pairs
                .iter()
                .filter(|(_, target)| scenario.ask.is_served_by(target.kind))
                .filter_map(|(n, target)| Some((servers.get(*n)?, *target)))
                .collect();
            let begins = |target: &Target| step.tick(|| format!("{} at {}", scenario.name, target.name));
            let samples = in_turns(load, scenario, &served, effort, begins)?.into_iter().map(|(target, measured)| Sample {
                round,
                scenario: scenario.name.to_owned(),
                target: target.name.to_owned(),
                measured,
            });
            results.samples.extend(samples);
        }
        // Whoever came first comes last in the next round.
        if !pairs.is_empty() {
            pairs.rotate_left(1);
        }
        step.done();
    }
    Ok(())
}

/// One scenario in one round: each target has its window in [`TURNS`] parts, with those of the others in between.
fn in_turns(
    load: &Load,
    scenario: &'static Scenario,
    served: &[(&Server, &'static Target)],
    effort: Effort,
    begins: impl Fn(&Target),
) -> Result<Vec<(&'static Target, Measured)>> {
    let effort = Effort { window_ms: effort.window_ms / u64::from(TURNS), ..effort };
    let mut parts: Vec<Vec<Measured>> = served.iter().map(|_| Vec::new()).collect();
    for _ in 0..TURNS {
        for ((server, target), parts) in served.iter().zip(&mut parts) {
            begins(target);
            parts.push(measured(load, scenario, server, target, effort)?);
        }
    }
    let whole = served.iter().zip(&parts).map(|((_, target), parts)| {
        let whole = Measured::together(parts).filter(|whole| whole.requests > 0);
        Ok((*target, whole.with_context(|| format!("{} at {}: not one answer within the window", scenario.name, target.name))?))
    });
    whole.collect()
}

/// Lets V8 compile: four windows of each scenario, by the longest way into each server.
fn warm(load: &Load, servers: &[Server], scenarios: &[&'static Scenario], effort: Effort, progress: &Progress) -> Result<()> {
    let effort = Effort { warmup_ms: 0, window_ms: 4 * effort.window_ms, ..effort };
    for server in servers.iter().filter(|server| server.host.is_workers()) {
        let Some(target) = server.targets.first() else { continue };
        let step = progress.step(format!("warming {}", server.host.name()));
        for scenario in scenarios.iter().filter(|scenario| scenario.ask.is_served_by(target.kind)) {
            step.tick(|| scenario.name.to_owned());
            measured(load, scenario, server, target, effort)?;
        }
        step.done();
    }
    Ok(())
}

fn measured(
    load: &Load,
    scenario: &'static Scenario,
    server: &Server,
    target: &'static Target,
    effort: Effort,
) -> Result<Measured> {
    if interrupt::stop_wanted() {
        bail!("interrupted");
    }
    let plan = server.plan(target, scenario.ask, effort)?;
    load.run(&plan).with_context(|| format!("{} at {}", scenario.name, target.name))
}
