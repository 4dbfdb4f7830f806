//! Cold starts: from a process to its first good answer, the first request of a fresh isolate beside the second, and what compiling
//! and instantiating each module takes.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::bench::results::{Module, Results, Start};
use crate::bench::scenario::Ask;
use crate::bench::server::{self, FLOOR, NOOP, Seeds, Server};
use crate::bench::target::{Host, Target};
use crate::bench::{counts, server::node};
use crate::files;
use crate::functions::{FUNCTIONS, Function};
use crate::paths::Paths;
use crate::process;
use crate::progress::Progress;

/// How often a module is compiled.
const COMPILES: usize = 15;

/// Starts every host that is wanted some times, and measures the modules.
pub fn run(paths: &Paths, seeds: &Seeds, wanted: &[&'static Target], results: &mut Results, progress: &Progress) -> Result<()> {
    let mut seen = BTreeSet::new();
    for target in wanted.iter().copied() {
        // One way in is enough; Synapse, oidc-provider and Keycloak are not what a start is compared with.
        let is_ours = target.host.is_workers() || target.host.is_spin();
        if !is_ours || counts::is_missing(results, target.host) || !seen.insert(target.host.name()) {
            continue;
        }
        for _ in 0..results.effort.starts {
            let start = one(paths, target, seeds, progress).with_context(|| format!("starting {}", target.name))?;
            results.starts.push(start);
        }
    }
    if wanted.iter().any(|target| target.host.is_workers()) {
        results.modules = modules(paths, results, progress)?;
    }
    Ok(())
}

/// The state is that of the scenarios' run, so that the value is there.
fn one(paths: &Paths, target: &'static Target, seeds: &Seeds, progress: &Progress) -> Result<Start> {
    let folder = super::state_folder(paths).join(target.host.name());
    let begun = Instant::now();
    let mut server = server::start_again(paths, target.host, seeds.of(target.host)?, &folder, false, progress)?;
    server.targets = vec![target];
    let ready = Instant::now();
    get(&server, target)?;
    let first = Instant::now();
    get(&server, target)?;
    let second = Instant::now();
    let ms = |from: Instant, to: Instant| to.duration_since(from).as_secs_f64() * 1e3;
    Ok(Start {
        target: target.name.to_owned(),
        to_first_ms: ms(begun, first),
        first_ms: ms(ready, first),
        second_ms: ms(first, second),
    })
}

/// A stored value of the first person.
fn get(server: &Server, target: &Target) -> Result<()> {
    let ask = Ask::Get(1024);
    let lanes = ask.lanes(target.kind, &server.seeded.seed);
    let request = lanes.first().and_then(|lane| lane.pointer("/requests/0")).context("nobody was seeded")?;
    let text = |pointer: &str| request.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let url = format!("{}{}", server.url(target, ask)?, text("/path"));
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(Duration::from_secs(30)))
        .http_status_as_error(false)
        .proxy(None)
        .build()
        .into();
    let mut response = agent.get(&url).header("authorization", text("/headers/authorization")).call().context("no answer")?;
    let body = response.body_mut().read_to_string()?;
    match response.status().as_u16() {
        200 => Ok(()),
        status => bail!("answered {status}: {body}"),
    }
}

/// Compiles and instantiates the modules of the functions in Node, whose V8 is workerd's relative.
fn modules(paths: &Paths, results: &Results, progress: &Progress) -> Result<Vec<Module>> {
    let step = progress.step("compiling and instantiating the modules");
    let mut functions: Vec<&Function> = FUNCTIONS.iter().collect();
    for (host, function) in [(Host::WorkersNoop, &NOOP), (Host::WorkersFloor, &FLOOR)] {
        if !counts::is_missing(results, host) && paths.root.join(function.dir).join("build/index_bg.wasm").is_file() {
            functions.push(function);
        }
    }
    let list: Vec<Value> = functions
        .iter()
        .map(|function| json!({"name": function.name, "file": paths.root.join(function.dir).join("build/index_bg.wasm")}))
        .collect();
    let folder = super::folder(paths);
    files::write_json(&folder.join("modules.json"), &json!({"modules": list, "times": COMPILES}))?;
    let mut command = node(paths);
    command.arg(paths.root.join("bench/serve/compile.mjs")).arg(folder.join("modules.json"));
    let out = folder.join("compiled.json");
    process::run(&step, &mut command, &out).context("failed to compile the modules in Node")?;
    step.done();
    files::read_json(&out)?.context("Node said nothing of the modules")
}
