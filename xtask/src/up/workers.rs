//! The server on Workers: one `wrangler dev` session with every function, on copies of their manifests.
//!
//! The manifests in git are what is deployed. A copy differs in this: nothing is built (that has been done), and beside it lie
//! what was built, so that a later build does not disturb what runs, and a `.dev.vars` with the function's configuration.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use toml::{Table, Value};

use crate::build;
use crate::config::Config;
use crate::files;
use crate::functions::{self, CONTRACT, Function};
use crate::paths::Paths;
use crate::process;
use crate::progress::Progress;
use crate::tools::npm::Npm;
use crate::up::plan::Plan;

/// The function in whose place a peer of the benchmark can stand.
const STORAGE: &str = "storage";

/// Writes manifests and configuration, and applies the migrations.
pub fn prepare(paths: &Paths, plan: &Plan, config: &Config, progress: &Progress) -> Result<()> {
    for function in functions::all(plan.with_contract) {
        let copy = copy_of(plan, function);
        match plan.storage_peer.filter(|_| function.name == STORAGE) {
            Some(peer) => peer.stand_in(paths, &copy, &service_name(paths, function)?)?,
            None => copy_function(paths, plan, function, &copy)?,
        }
        let vars = copy.with_file_name(".dev.vars");
        files::write_private(&vars, config.dev_vars(function.name)?.as_bytes())?;
    }
    migrate(paths, plan, progress)
}

/// Manifest and modules of one of ours.
fn copy_function(paths: &Paths, plan: &Plan, function: &Function, copy: &Path) -> Result<()> {
    let source = manifest(paths, function);
    let text = fs::read_to_string(&source).with_context(|| format!("cannot read {}", source.display()))?;
    let mut table = render(&text, &paths.root).with_context(|| format!("in {}", source.display()))?;
    if plan.with_contract && function.name == "gateway" {
        add_contract(&mut table, &service_name(paths, &CONTRACT)?);
    }
    files::write_private(copy, toml::to_string(&table)?.as_bytes())?;
    let module = build::workers_module(paths, function);
    for file in [module.with_file_name("index.js"), module] {
        let name = file.file_name().unwrap_or_default();
        files::copy(&file, &copy.with_file_name("build").join(name))?;
    }
    Ok(())
}

/// The command that serves.
pub fn command(paths: &Paths, plan: &Plan) -> Command {
    let mut command = wrangler(paths, plan);
    command.arg("dev");
    for function in functions::all(plan.with_contract) {
        command.arg("-c").arg(copy_of(plan, function));
    }
    command.args(["--ip", "127.0.0.1", "--port", &plan.port.to_string()]);
    command.args(["--inspector-port", "0", "--show-interactive-dev-session=false"]);
    command.arg("--persist-to").arg(state(plan));
    command
}

/// A D1 migration is applied by wrangler, each exactly once; the state folder is the one that `dev` uses.
fn migrate(paths: &Paths, plan: &Plan, progress: &Progress) -> Result<()> {
    let has_database = |copy: &PathBuf| fs::read_to_string(copy).is_ok_and(|text| text.contains("d1_databases"));
    // One database for all of ours; a peer in the place of storage has its own.
    let ours = functions::all(false).filter(|function| plan.storage_peer.is_none() || function.name != STORAGE);
    let ours = ours.map(|function| copy_of(plan, function)).find(has_database);
    let peer = plan.storage_peer.and_then(|_| functions::all(false).find(|function| function.name == STORAGE));
    let step = progress.step("applying migrations");
    for copy in ours.into_iter().chain(peer.map(|function| copy_of(plan, function))) {
        let mut command = wrangler(paths, plan);
        command.args(["d1", "migrations", "apply", "DB", "--local", "--persist-to"]);
        command.arg(state(plan)).arg("-c").arg(copy);
        process::run(&step, &mut command, &plan.logs().join("migrate.log")).context("failed to apply the migrations")?;
    }
    step.done();
    Ok(())
}

fn wrangler(paths: &Paths, plan: &Plan) -> Command {
    let mut command = Npm::new(paths).wrangler();
    command.current_dir(&plan.data);
    // Of its own: two sessions on one machine must not find each other's Workers by name.
    command.env("WRANGLER_REGISTRY_PATH", plan.data.join("wrangler-registry"));
    command.env("WRANGLER_LOG_PATH", plan.data.join("wrangler-logs"));
    command
}

fn state(plan: &Plan) -> PathBuf {
    plan.data.join("wrangler")
}

/// The manifest that is deployed: the gateway's stands at the top of the workspace.
pub fn manifest(paths: &Paths, function: &Function) -> PathBuf {
    match function.name {
        "gateway" => paths.root.join("wrangler.toml"),
        _ => paths.root.join(function.dir).join("wrangler.toml"),
    }
}

fn copy_of(plan: &Plan, function: &Function) -> PathBuf {
    plan.data.join("workers").join(function.name).join("wrangler.toml")
}

fn service_name(paths: &Paths, function: &Function) -> Result<String> {
    let source = manifest(paths, function);
    let text = fs::read_to_string(&source).with_context(|| format!("cannot read {}", source.display()))?;
    let table: Table = text.parse().with_context(|| format!("in {}", source.display()))?;
    let name = table.get("name").and_then(Value::as_str);
    Ok(name.with_context(|| format!("{} has no name", source.display()))?.to_owned())
}

/// A manifest that works beside a copy of what was built: the migrations are named absolutely, `build` is left out.
fn render(text: &str, root: &Path) -> Result<Table> {
    let mut table: Table = text.parse()?;
    let main = table.get("main").and_then(Value::as_str).unwrap_or_default();
    ensure!(main.ends_with("build/index.js"), "`main` is not the build/index.js that worker-build makes");
    table.insert("main".into(), "build/index.js".into());
    table.remove("build");
    let databases = table.get_mut("d1_databases").and_then(Value::as_array_mut);
    for database in databases.into_iter().flatten().filter_map(Value::as_table_mut) {
        let migrations = root.join("migrations").display().to_string();
        database.insert("migrations_dir".into(), migrations.into());
    }
    Ok(table)
}

/// Lets the gateway reach the test-only function, by the variable it has for that.
fn add_contract(gateway: &mut Table, service: &str) {
    let vars = gateway.entry("vars").or_insert_with(|| Table::new().into());
    if let Some(vars) = vars.as_table_mut() {
        vars.insert("EXTRA_ROUTES".into(), "/contract/=CONTRACT".into());
    }
    let binding =
        Table::from_iter([("binding".to_owned(), Value::from("CONTRACT")), ("service".to_owned(), Value::from(service))]);
    let services = gateway.entry("services").or_insert_with(|| Value::Array(Vec::new()));
    if let Some(services) = services.as_array_mut() {
        services.push(binding.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = r#"
name = "tmcp-storage"
main = "build/index.js"
[build]
command = "worker-build --release"
[[d1_databases]]
binding = "DB"
database_name = "tmcp"
database_id = "id"
"#;

    #[test]
    fn a_copy_takes_what_was_built_and_builds_nothing() {
        let table = render(MANIFEST, Path::new("/w")).unwrap();
        assert_eq!(table["main"].as_str(), Some("build/index.js"));
        assert_eq!(table["d1_databases"][0]["migrations_dir"].as_str(), Some("/w/migrations"));
        assert_eq!(table["d1_databases"][0]["database_id"].as_str(), Some("id"));
        assert!(!table.contains_key("build"));
        assert!(render("name = \"x\"", Path::new("/w")).is_err());
    }

    #[test]
    fn the_gateway_gets_the_contract_binding_beside_its_own() {
        let text = "main = \"functions/gateway/build/index.js\"\n[[services]]\nbinding = \"AUTH\"\nservice = \"tmcp-auth\"\n";
        let mut table = render(text, Path::new("/w")).unwrap();
        add_contract(&mut table, "tmcp-contract");
        assert_eq!(table["services"][0]["binding"].as_str(), Some("AUTH"));
        assert_eq!(table["services"][1]["service"].as_str(), Some("tmcp-contract"));
        let mut bare = Table::new();
        add_contract(&mut bare, "tmcp-contract");
        assert_eq!(bare["services"][0]["binding"].as_str(), Some("CONTRACT"));
        assert_eq!(bare["vars"]["EXTRA_ROUTES"].as_str(), Some("/contract/=CONTRACT"));
    }
}
