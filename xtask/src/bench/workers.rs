//! Servers on workerd: descriptions for `bench/serve/serve.mjs`, made from the manifests that are deployed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};
use toml::Table;

use crate::bench::seed::{LIMITS, Seeded};
use crate::bench::server::{FLOOR, NOOP, first_line, fresh_log, node};
use crate::bench::target::Host;
use crate::config::Config;
use crate::files;
use crate::functions::{FUNCTIONS, Function};
use crate::group::Group;
use crate::keys::Keys;
use crate::paths::Paths;
use crate::process;
use crate::progress::Progress;
use crate::tools::npm::Npm;
use crate::up;

const PEER: &str = "bench/peers/hono";
const DATE: &str = "2026-07-30";

/// Starts a host's Workers; gives each one's origin.
pub fn start(
    paths: &Paths,
    host: Host,
    seeded: &Seeded,
    folder: &Path,
    count: bool,
    progress: &Progress,
) -> Result<(Group, BTreeMap<String, String>)> {
    let description = json!({
        "miniflare": Npm::new(paths).package("miniflare"),
        "state": folder.join("wrangler/v3"),
        "workers": workers(paths, host, seeded, count)?,
    });
    let file = folder.join("workers.json");
    files::write_json(&file, &description)?;
    let log = fresh_log(folder);
    let mut command = node(paths);
    command.arg(paths.root.join("bench/serve/serve.mjs")).arg(&file).current_dir(folder);
    let mut group = Group::start("workerd", &mut command, &log)?;
    let ready = first_line(&mut group, &log, progress, host.name())?;
    let urls = ready.get("urls").and_then(Value::as_object).context("the Workers have no addresses")?;
    let urls = urls.iter().filter_map(|(name, url)| Some((name.clone(), url.as_str()?.to_owned()))).collect();
    Ok((group, urls))
}

fn workers(paths: &Paths, host: Host, seeded: &Seeded, count: bool) -> Result<Vec<Value>> {
    let plan = &seeded.plan;
    let config = Config::new(&Keys::of(&plan.data)?, &plan.base_url(), None, LIMITS, &plan.set)?;
    let ours = |function: &'static Function| {
        let vars = config.of(function.name);
        worker(&up::workers::manifest(paths, function), &built(paths, function), vars, count)
    };
    let mut workers: Vec<Value> = Vec::new();
    match host {
        Host::WorkersNoop => {
            workers.push(json!({"name": "noop", "folder": built(paths, &NOOP), "date": DATE, "count": count}));
        }
        Host::WorkersFloor => {
            let manifest = paths.root.join(FLOOR.dir).join("wrangler.toml");
            // The floor knows no configuration of its own: it gets everything, as the contract function does.
            let mut floor = worker(&manifest, &built(paths, &FLOOR), config.of(crate::functions::CONTRACT.name), count)?;
            rename(&mut floor, "floor");
            workers.push(floor);
            let objects = json!({"FLOOR": {"class": "FloorEntity"}});
            workers.push(json!({
                "name": "floor-objects", "folder": built(paths, &FLOOR), "date": DATE, "objects": objects, "count": count,
            }));
        }
        Host::WorkersHono => {
            for function in FUNCTIONS {
                workers.push(match function.name {
                    "storage" => {
                        let folder = paths.root.join(PEER).join("dist");
                        let mut peer =
                            worker(&paths.root.join(PEER).join("wrangler.toml"), &folder, config.of("storage"), count)?;
                        rename(&mut peer, "tmcp-storage");
                        peer
                    }
                    _ => ours(function)?,
                });
            }
        }
        _ => workers = FUNCTIONS.iter().map(ours).collect::<Result<_>>()?,
    }
    Ok(workers)
}

fn built(paths: &Paths, function: &Function) -> PathBuf {
    paths.root.join(function.dir).join("build")
}

/// Under another name, with its own objects.
fn rename(worker: &mut Value, name: &str) {
    if let Some(worker) = worker.as_object_mut() {
        worker.insert("name".into(), name.into());
    }
}

/// One Worker as its manifest describes it.
fn worker<'a>(manifest: &Path, folder: &Path, vars: impl Iterator<Item = (&'a str, &'a str)>, count: bool) -> Result<Value> {
    let text = fs::read_to_string(manifest).with_context(|| format!("cannot read {}", manifest.display()))?;
    let table: Table = text.parse().with_context(|| format!("in {}", manifest.display()))?;
    let mut worker = described(&table).with_context(|| format!("in {}", manifest.display()))?;
    let mut values: Map<String, Value> = table
        .get("vars")
        .and_then(toml::Value::as_table)
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.into())))
        .collect();
    values.extend(vars.map(|(name, value)| (name.to_owned(), value.into())));
    worker.insert("vars".into(), values.into());
    worker.insert("folder".into(), folder.display().to_string().into());
    worker.insert("count".into(), count.into());
    Ok(worker.into())
}

/// Name, date and bindings.
fn described(table: &Table) -> Result<Map<String, Value>> {
    let text = |table: &Table, name: &str| table.get(name).and_then(toml::Value::as_str).map(str::to_owned);
    let list = |table: &Table, name: &str| -> Vec<Table> {
        let entries = table.get(name).and_then(toml::Value::as_array).cloned().unwrap_or_default();
        entries.into_iter().filter_map(|entry| entry.as_table().cloned()).collect()
    };
    let bindings = |name: &str, binding: &str, value: &str| -> Map<String, Value> {
        list(table, name).iter().filter_map(|entry| Some((text(entry, binding)?, text(entry, value)?.into()))).collect()
    };
    let objects = table.get("durable_objects").and_then(toml::Value::as_table);
    let objects: Map<String, Value> = objects
        .map(|objects| list(objects, "bindings"))
        .unwrap_or_default()
        .iter()
        .filter_map(|entry| {
            Some((text(entry, "name")?, json!({"class": text(entry, "class_name")?, "script": text(entry, "script_name")})))
        })
        .collect();
    let flags = table.get("compatibility_flags").and_then(toml::Value::as_array);
    let flags: Vec<_> = flags.into_iter().flatten().filter_map(toml::Value::as_str).collect();
    let value = json!({
        "name": text(table, "name").context("no name")?,
        "date": text(table, "compatibility_date").context("no compatibility_date")?,
        "flags": flags,
        "d1": bindings("d1_databases", "binding", "database_id"),
        "kv": bindings("kv_namespaces", "binding", "id"),
        "services": bindings("services", "binding", "service"),
        "objects": objects,
    });
    value.as_object().cloned().context("no object")
}

/// Makes the TypeScript peer's tables in a copy of the state.
pub fn migrate_peer(paths: &Paths, folder: &Path, progress: &Progress) -> Result<()> {
    let step = progress.step("applying the TypeScript peer's migrations");
    let mut command = Npm::new(paths).wrangler();
    command.current_dir(folder).env("WRANGLER_LOG_PATH", folder.join("wrangler-logs"));
    command.args(["d1", "migrations", "apply", "DB", "--local", "--persist-to"]);
    command.arg(folder.join("wrangler")).arg("-c").arg(paths.root.join(PEER).join("wrangler.toml"));
    process::run(&step, &mut command, &folder.join("migrate.log")).context("failed to apply the peer's migrations")?;
    step.done();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_becomes_a_description() {
        let manifest = r#"
            name = "tmcp-storage"
            compatibility_date = "2026-07-30"
            compatibility_flags = ["f"]
            [[d1_databases]]
            binding = "DB"
            database_id = "d"
            [[kv_namespaces]]
            binding = "KV"
            id = "k"
            [[durable_objects.bindings]]
            name = "SUBJECT"
            class_name = "SubjectEntity"
            script_name = "tmcp-auth"
            [[services]]
            binding = "AUTH"
            service = "tmcp-auth"
        "#;
        let worker = Value::from(described(&manifest.parse().unwrap()).unwrap());
        assert_eq!(worker["d1"]["DB"], "d");
        assert_eq!(worker["kv"]["KV"], "k");
        assert_eq!(worker["objects"]["SUBJECT"], json!({"class": "SubjectEntity", "script": "tmcp-auth"}));
        assert_eq!(worker["services"]["AUTH"], "tmcp-auth");
        assert_eq!(worker["flags"][0], "f");
        assert!(described(&"main = \"x\"".parse().unwrap()).is_err());
    }
}
