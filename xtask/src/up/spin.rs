//! The server on Spin: `spin.toml` as it is deployed, or with the contract function's component added for tests.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use toml::{Table, Value};

use crate::config::Config;
use crate::files;
use crate::paths::Paths;
use crate::tools;
use crate::up::plan::Plan;

/// What the tests add to `spin.toml`.
const CONTRACT_FRAGMENT: &str = "tests/contract-function/spin-component.toml";

/// Writes the variables, and the manifest if tests need one of their own.
pub fn prepare(paths: &Paths, plan: &Plan, config: &Config) -> Result<()> {
    // Spin takes a file of variables, so that no secret stands on a command line.
    files::write_json(&variables(plan), &config.spin_variables())?;
    if plan.with_contract {
        let mut manifest = read(&paths.root.join("spin.toml"))?;
        merge(&mut manifest, read(&paths.root.join(CONTRACT_FRAGMENT))?);
        make_absolute(&mut manifest, &paths.root);
        files::write_private(&own_manifest(plan), toml::to_string(&manifest)?.as_bytes())?;
    }
    Ok(())
}

/// The command that serves.
pub fn command(paths: &Paths, plan: &Plan) -> Result<Command> {
    let program = plan.spin_program.as_ref().context("no program to run Spin components with")?;
    let manifest = if plan.with_contract { own_manifest(plan) } else { paths.root.join("spin.toml") };
    let state = plan.data.join("spin");
    let logs = plan.spin_logs();
    files::make_folder(&state)?;
    files::make_folder(&logs)?;
    let mut command = Command::new(program);
    tools::clean_environment(&mut command);
    command.current_dir(&plan.data).arg("up").arg("--from").arg(manifest);
    command.args(["--listen", &format!("127.0.0.1:{}", plan.port)]);
    command.arg("--state-dir").arg(state).arg("--log-dir").arg(logs);
    command.arg("--variable").arg(format!("@{}", variables(plan).display()));
    command.arg("--quiet");
    Ok(command)
}

fn variables(plan: &Plan) -> PathBuf {
    plan.data.join("spin-variables.json")
}

fn own_manifest(plan: &Plan) -> PathBuf {
    plan.data.join("spin-with-contract.toml")
}

fn read(path: &Path) -> Result<Table> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    text.parse().with_context(|| format!("in {}", path.display()))
}

/// Adds tables to tables and entries to arrays; a plain value of `more` wins.
fn merge(table: &mut Table, more: Table) {
    for (name, value) in more {
        match (table.get_mut(&name), value) {
            (Some(Value::Table(mine)), Value::Table(more)) => merge(mine, more),
            (Some(Value::Array(mine)), Value::Array(more)) => mine.extend(more),
            (_, value) => {
                table.insert(name, value);
            }
        }
    }
}

/// Names every component's module absolutely, for a manifest that lies in another folder.
fn make_absolute(manifest: &mut Table, root: &Path) {
    let components = manifest.get_mut("component").and_then(Value::as_table_mut);
    for (_, component) in components.into_iter().flatten() {
        if let Some(source) = component.get_mut("source")
            && let Some(relative) = source.as_str()
        {
            *source = root.join(relative).display().to_string().into();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contract_component_is_added_beside_the_others() {
        let mut manifest: Table = r#"
            spin_manifest_version = 2
            [[trigger.http]]
            route = "/ops/..."
            component = "ops"
            [component.ops]
            source = "target/spin/ops.wasm"
        "#
        .parse()
        .unwrap();
        let fragment = r#"
            [[trigger.http]]
            route = "/contract/..."
            component = "contract"
            [component.contract]
            source = "target/spin/contract.wasm"
        "#;
        merge(&mut manifest, fragment.parse().unwrap());
        make_absolute(&mut manifest, Path::new("/w"));
        assert_eq!(manifest["trigger"]["http"].as_array().unwrap().len(), 2);
        assert_eq!(manifest["component"]["ops"]["source"].as_str(), Some("/w/target/spin/ops.wasm"));
        assert_eq!(manifest["component"]["contract"]["source"].as_str(), Some("/w/target/spin/contract.wasm"));
    }
}
