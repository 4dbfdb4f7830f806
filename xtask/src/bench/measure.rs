//! The measurements themselves: rounds in which every target has every scenario once, so that whatever else the machine does
//! falls on all of them.

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::bench::load::{Load, Measured};
use crate::bench::results::{Results, Sample};
use crate::bench::scenario::{Ask, Scenario};
use crate::bench::server::Server;
use crate::bench::target::Target;
use crate::bench::{CONNECTIONS, Effort};
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

/// All rounds. Each has a process of its own for every server whose code runs in wasm: what is slow or fast about a process, such as where
/// its code came to lie, falls on one round and not on the target. The peers, which take minutes to get warm, keep theirs.
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
    let mut pairs: Vec<(usize, &'static Target)> =
        servers.iter().enumerate().flat_map(|(n, server)| server.targets.iter().map(move |target| (n, *target))).collect();
    for round in 0..effort.rounds {
        if round > 0 {
            let wasm = |server: &&mut Server| server.host.is_workers() || server.host.is_spin();
            servers.iter_mut().filter(wasm).try_for_each(|server| server.renew(paths, progress))?;
        }
        let step = progress.step(format!("round {} of {}", round + 1, effort.rounds));
        let of_round = || scenarios.iter().flat_map(|scenario| pairs.iter().map(move |(n, target)| (*scenario, *n, *target)));
        let served = |(scenario, n, target): (&'static Scenario, usize, &'static Target)| {
            let server = servers.get(n).filter(|_| scenario.ask.is_served_by(target.kind))?;
            Some((scenario, server, target))
        };
        for (scenario, server, target) in of_round().filter_map(served).filter(|(_, server, _)| server.host.is_workers()) {
            step.tick(|| format!("V8 compiles for {} at {}", scenario.name, target.name));
            measured(load, scenario, server, target, Effort { warmup_ms: 0, window_ms: 2 * effort.warmup_ms, ..effort })?;
        }
        for (scenario, server, target) in of_round().filter_map(served) {
            step.tick(|| format!("{} at {}", scenario.name, target.name));
            let measured = measured(load, scenario, server, target, effort)?;
            results.samples.push(Sample { round, scenario: scenario.name.to_owned(), target: target.name.to_owned(), measured });
        }
        // Whoever came first comes last in the next round.
        if !pairs.is_empty() {
            pairs.rotate_left(1);
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
    let measured = load.run(&plan).with_context(|| format!("{} at {}", scenario.name, target.name))?;
    if measured.requests == 0 {
        bail!("{} at {}: not one answer within the window", scenario.name, target.name);
    }
    Ok(measured)
}
