//! Growth: a get and a put among a thousand, ten thousand, a hundred thousand, a million stored keys of many people.
//!
//! The people who are measured have the same keys every time, made through the API. Those who fill the database never come: their rows
//! are written into its file while no server has it open (`bench/seed/src/fill.rs`). One server for each size, all alive at once, so
//! that the rounds are interleaved.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::bench::load::Load;
use crate::bench::results::{Grown, Results};
use crate::bench::seed::{self, KEYS_EACH, Seed};
use crate::bench::server::{self, Seeds, Server};
use crate::bench::target::{self, Host, Target};
use crate::bench::{CONNECTIONS, Effort};
use crate::interrupt;
use crate::paths::Paths;
use crate::process;
use crate::progress::Progress;

/// The numbers of keys.
const SIZES: &[u64] = &[1_000, 10_000, 100_000, 1_000_000];
/// Bytes of a value, as `bench-seed` stores them.
const VALUE_BYTES: usize = 100;

/// Measures on Workers, entered directly.
pub fn run(
    paths: &Paths,
    load: &Load,
    seeds: &Seeds,
    wanted: &[&'static Target],
    results: &mut Results,
    progress: &Progress,
) -> Result<()> {
    let Some(target) = target::named("workers-direct").filter(|target| wanted.contains(target)) else { return Ok(()) };
    let fill = seed::program(paths, progress)?;
    let mut servers = Vec::new();
    for keys in SIZES.iter().copied().filter(|keys| *keys <= results.effort.most_keys) {
        let folder = super::state_folder(paths).join(format!("growth-{keys}"));
        let seeded = seeds.of(Host::Workers)?;
        server::prepare(paths, Host::Workers, seeded, &folder, progress)?;
        let step = progress.step(format!("filling a database up to {keys} keys"));
        let mut command = Command::new(&fill);
        command.arg("fill").arg(database(&folder)?).args(["--until", &keys.to_string()]);
        process::run(&step, &mut command, &folder.join("fill.json")).context("failed to fill the database")?;
        step.done();
        servers.push((keys, server::start_again(paths, Host::Workers, seeded, &folder, false, progress)?));
    }
    for round in 0..results.effort.rounds {
        let step = progress.step(format!("growth: round {} of {}", round + 1, results.effort.rounds));
        for operation in ["get", "put"] {
            for (keys, server) in &servers {
                if interrupt::stop_wanted() {
                    bail!("interrupted");
                }
                let plan = plan(server, target, operation, results.effort)?;
                let measured = load.run(&plan).with_context(|| format!("{operation} among {keys} keys"))?;
                results.growth.push(Grown { keys: *keys, operation: operation.to_owned(), round, measured });
            }
        }
        step.done();
    }
    drop(servers);
    for keys in SIZES {
        // Half a gigabyte that nobody needs any more.
        let _ = fs::remove_dir_all(super::state_folder(paths).join(format!("growth-{keys}")));
    }
    Ok(())
}

/// Every connection walks through its person's keys.
fn plan(server: &Server, target: &Target, operation: &str, effort: Effort) -> Result<Value> {
    Ok(json!({
        "url": server.url(target, crate::bench::scenario::Ask::Get(VALUE_BYTES))?, "pid": server.pid(), "connections": CONNECTIONS,
        "warmup_ms": effort.warmup_ms, "window_ms": effort.window_ms, "expect": 200,
        "lanes": lanes(&server.seeded.seed, operation),
    }))
}

fn lanes(seed: &Seed, operation: &str) -> Vec<Value> {
    let body = if operation == "put" { json!({"value": "y".repeat(VALUE_BYTES)}).to_string() } else { String::new() };
    let method = operation.to_uppercase();
    seed.people
        .iter()
        .map(|person| {
            let headers = json!({"authorization": format!("Bearer {}", person.access), "content-type": "application/json"});
            // By a stride, so that neighbours in the tree do not follow each other.
            let requests: Vec<Value> = (0..KEYS_EACH)
                .map(|n| {
                    let path = format!("/api/v1/storage/k{}", (n * 23) % KEYS_EACH);
                    json!({"method": method, "path": path, "headers": headers, "body": body})
                })
                .collect();
            json!({ "requests": requests })
        })
        .collect()
}

/// The file of the one database in a state folder.
fn database(folder: &Path) -> Result<PathBuf> {
    let databases = folder.join("wrangler/v3/d1/miniflare-D1DatabaseObject");
    let files = fs::read_dir(&databases).with_context(|| format!("cannot read {}", databases.display()))?;
    let is_one = |path: &PathBuf| {
        path.extension().is_some_and(|extension| extension == "sqlite") && path.file_stem().is_some_and(|name| name != "metadata")
    };
    let mut found = files.filter_map(|entry| Some(entry.ok()?.path())).filter(is_one);
    match (found.next(), found.next()) {
        (Some(file), None) => Ok(file),
        _ => bail!("{} does not hold one database", databases.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_key_is_visited() {
        let visited: BTreeSet<_> = (0..KEYS_EACH).map(|n| (n * 23) % KEYS_EACH).collect();
        assert_eq!(visited.len(), KEYS_EACH);
    }
}
