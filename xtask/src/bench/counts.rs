//! What one request asks of the platform, counted by the runtime. On Workers each Worker is wrapped by `bench/serve/count.mjs`, which
//! sees every call to D1, KV, Durable Objects and other Workers, and the rows that D1 and the objects' SQLite report. On Spin the test
//! host counts its calls; a real `spin` cannot.

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::bench::load::Load;
use crate::bench::measure;
use crate::bench::results::Results;
use crate::bench::scenario::Scenario;
use crate::bench::server::{self, Seeds, Server};
use crate::bench::target::{Host, Target};
use crate::http;
use crate::paths::Paths;
use crate::progress::Progress;

/// Requests of each connection that are counted, after some that are not.
const EACH: u64 = 16;
/// Requests of each connection before.
const BEFORE: u64 = 2;
/// For what a function does after its answer.
const SETTLE: Duration = Duration::from_millis(500);

/// What one request of a scenario came to, on the average.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Counted {
    /// Target.
    pub target: String,
    /// Scenario.
    pub scenario: String,
    /// Counts by name, per request: `d1_statements`, `kv_reads` and so on; `requests` is how many Workers were entered.
    pub per_request: BTreeMap<String, f64>,
}

impl Counted {
    /// One count; zero where nothing was counted under that name.
    pub fn get(&self, name: &str) -> f64 {
        self.per_request.get(name).copied().unwrap_or(0.0)
    }
}

/// Counts every scenario on those hosts that are wanted and can count, through the gateway where there is one.
pub fn run(
    paths: &Paths,
    load: &Load,
    seeds: &Seeds,
    scenarios: &[&'static Scenario],
    wanted: &[&'static Target],
    results: &mut Results,
    progress: &Progress,
) -> Result<()> {
    for host in [Host::Workers, Host::WorkersFloor, Host::WorkersHono, Host::Spin, Host::SpinFloor] {
        let Some(target) = wanted.iter().copied().find(|target| target.host == host) else { continue };
        if is_missing(results, host) || (host.is_spin() && !results.spin_counts) {
            continue;
        }
        let folder = super::state_folder(paths).join(format!("count-{}", host.name()));
        let mut server = server::start(paths, host, seeds, &folder, true, progress)?;
        server.targets = vec![target];
        let step = progress.step(format!("counting what {} asks of the platform", target.name));
        measure::prime(load, &server, results.effort)?;
        for scenario in scenarios.iter().filter(|scenario| scenario.ask.is_served_by(target.kind)) {
            let per_request = one(load, &server, target, scenario, results)
                .with_context(|| format!("counting {} at {}", scenario.name, target.name))?;
            results.counts.push(Counted { target: target.name.into(), scenario: scenario.name.into(), per_request });
        }
        step.done();
    }
    Ok(())
}

/// Whether the run found that a host is not there.
pub fn is_missing(results: &Results, host: Host) -> bool {
    results.missing.iter().any(|line| line.starts_with(&format!("{}:", host.name())))
}

fn one(load: &Load, server: &Server, target: &Target, scenario: &Scenario, results: &Results) -> Result<BTreeMap<String, f64>> {
    let mut plan = server.plan(target, scenario.ask, results.effort)?;
    measure::requests_each(&mut plan, BEFORE);
    load.run(&plan)?;
    sleep(SETTLE);
    collect(server)?;
    measure::requests_each(&mut plan, EACH);
    let measured = load.run(&plan)?;
    sleep(SETTLE);
    #[allow(clippy::cast_precision_loss, reason = "some hundred requests")]
    let requests = measured.requests.max(1) as f64;
    Ok(collect(server)?.into_iter().map(|(name, sum)| (name, sum / requests)).collect())
}

/// The sums over all Workers since the last time.
fn collect(server: &Server) -> Result<BTreeMap<String, f64>> {
    let mut sums = BTreeMap::new();
    for url in server.urls().values() {
        let path = if server.host.is_spin() { "/.well-known/spin-host/counts" } else { "/__bench/counts" };
        let counts = http::get(&format!("{url}{path}"))?.success("counting")?;
        // The host answers as text.
        let counts: Value = counts.as_str().and_then(|text| serde_json::from_str(text).ok()).unwrap_or(counts);
        for (name, value) in counts.as_object().into_iter().flatten() {
            *sums.entry(name.clone()).or_insert(0.0) += value.as_f64().unwrap_or(0.0);
        }
        debug_assert!(counts.get("requests").is_some_and(Value::is_number));
    }
    Ok(sums)
}
