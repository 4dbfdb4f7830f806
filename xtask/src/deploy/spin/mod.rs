//! `cargo xtask deploy spin`: what can be known before Spin runs the application, and the files that it runs with.
//!
//! It starts nothing: a server in production belongs to systemd or to Kubernetes, for which `deploy/` has the manifests. What Spin itself
//! finds out only at `spin up`, or at a request, is found here: an interface that its version does not have, a store that a component opens
//! and the manifest does not grant, a variable that is missing.

mod component;
mod manifest;
pub mod runtime;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use toml::Table;

use super::environment::{Environment, KeyValue};
use super::secrets::Secrets;
use super::values::Values;
use super::{Opened, Which};
use crate::build::{self, Runtime};
use crate::files;
use crate::functions::{self, Function};
use crate::paths::{Paths, shown};
use crate::progress::Progress;
use crate::size::{Report, Size};

/// Options of `deploy spin`.
#[derive(Debug, Args)]
pub struct SpinArgs {
    #[command(flatten)]
    which: Which,
    /// Check manifest, components and sizes, show the runtime configuration without its secrets, and write nothing.
    #[arg(long)]
    dry_run: bool,
}

/// Runs the command.
pub fn run(paths: &Paths, args: &SpinArgs) -> Result<()> {
    let progress = Progress::new();
    let Opened { environment, secrets, values } = args.which.open(paths, args.dry_run)?;
    let runtime = runtime::config(&environment.file.spin, secrets.as_ref())?;
    let functions: Vec<_> = functions::all(false).filter(|function| function.on_spin).collect();
    if !args.which.no_build {
        build::build(paths, &progress, Runtime::Spin, &functions)?;
    }
    check(paths, &functions)?;
    match secrets {
        Some(secrets) if !args.dry_run => write(paths, &environment, &values, &secrets, &runtime),
        _ => {
            println!("\nruntime-config.toml:\n{}", runtime.shown()?);
            Ok(())
        }
    }
}

/// Holds the manifest to the table of settings, and every component to the manifest; prints sizes.
fn check(paths: &Paths, functions: &[&Function]) -> Result<()> {
    let text = fs::read_to_string(paths.root.join("spin.toml")).context("cannot read spin.toml")?;
    let manifest: Table = text.parse().context("spin.toml is not TOML")?;
    let mut problems = manifest::problems(&manifest, functions);
    let mut report = Report::new(paths)?;
    for function in functions {
        let module = paths.spin_module(function.name);
        ensure!(module.is_file(), "{} is not built: leave --no-build out", function.name);
        let bytes = fs::read(&module).with_context(|| format!("cannot read {}", module.display()))?;
        match component::read(&bytes) {
            Ok(component) => problems.extend(component::problems(function.name, &component, &manifest)),
            Err(error) => problems.push(format!("{} is no component that Spin runs: {error:#}", shown(&module, &paths.root))),
        }
        report.line(function.name, Runtime::Spin, Some(Size::of(std::slice::from_ref(&module))?));
    }
    problems.iter().for_each(|problem| eprintln!("error: {problem}"));
    if !problems.is_empty() {
        bail!("{} places of spin.toml and its components do not fit together", problems.len());
    }
    println!("spin.toml and {} components fit together, and need nothing but {}", functions.len(), component::WANTED);
    report.finish()
}

/// Writes what Spin, systemd and Kubernetes are given, and says what to run.
fn write(paths: &Paths, environment: &Environment, values: &Values, secrets: &Secrets, runtime: &runtime::Config) -> Result<()> {
    let folder = environment.folder(paths).join("spin");
    let variables = runtime::variables(values, &environment.file.spin);
    let operator =
        format!("Authorization: Bearer {}\n", secrets.require("OPERATOR_TOKEN", "it calls /ops/migrate and /ops/maintenance")?);
    let file = |name: &str| -> PathBuf { folder.join(name) };
    files::write_private(&file("runtime-config.toml"), runtime.text()?.as_bytes())?;
    files::write_json(&file("variables.json"), &variables)?;
    files::write_private(&file("operator-header"), operator.as_bytes())?;
    files::write_json(&file("kubernetes-secrets.json"), &runtime::kubernetes(&variables, &runtime.text()?, &operator))?;
    let at = |name: &str| shown(&file(name), &paths.root);
    println!("written, for you alone to read: {}", shown(&folder, &paths.root));
    println!("\nserve:    spin up --from spin.toml --listen 127.0.0.1:3000 \\");
    println!("            --runtime-config-file {} --variable @{}", at("runtime-config.toml"), at("variables.json"));
    println!("migrate:  curl --fail -X POST -H @{} http://127.0.0.1:3000/ops/migrate", at("operator-header"));
    println!("SpinKube: kubectl apply -f {} -f deploy/kubernetes/", at("kubernetes-secrets.json"));
    if environment.file.spin.key_value == KeyValue::Local {
        println!(
            "\nThe key-value store is a file: one instance only. For several, spin.key_value = \"redis\" and spin.database = \"turso\"."
        );
    }
    println!("docs/deploying.md has the whole way, docs/operating.md what runs every minute.");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use std::collections::BTreeSet;
    use std::process::Command;

    fn root() -> PathBuf {
        Paths::find().unwrap().root
    }

    fn documents(file: &str) -> Vec<Value> {
        let text = fs::read_to_string(root().join("deploy/kubernetes").join(file)).unwrap();
        serde_yaml_ng::Deserializer::from_str(&text).map(|one| serde::Deserialize::deserialize(one).unwrap()).collect()
    }

    fn of_kind(file: &str, kind: &str) -> Value {
        documents(file).into_iter().find(|document| document["kind"] == kind).unwrap()
    }

    #[test]
    fn the_spin_app_gives_every_variable_that_the_manifest_declares() {
        let app = of_kind("spinapp.yaml", "SpinApp");
        assert_eq!(app["apiVersion"], "core.spinkube.dev/v1alpha1");
        let executor = of_kind("spinapp.yaml", "SpinAppExecutor");
        assert_eq!(app["spec"]["executor"], executor["metadata"]["name"]);
        assert_eq!(app["spec"]["runtimeConfig"]["loadFromSecret"], runtime::RUNTIME_SECRET);
        let variables = app["spec"]["variables"].as_array().unwrap();
        let given: BTreeSet<_> = variables.iter().map(|variable| variable["name"].as_str().unwrap().to_owned()).collect();
        let manifest: Table = fs::read_to_string(root().join("spin.toml")).unwrap().parse().unwrap();
        let declared = manifest["variables"].as_table().unwrap();
        assert_eq!(given, declared.keys().cloned().collect());
        for variable in variables {
            let (name, from) = (variable["name"].as_str().unwrap(), &variable["valueFrom"]["secretKeyRef"]);
            assert_eq!((from["name"].as_str(), from["key"].as_str()), (Some(runtime::VARIABLES_SECRET), Some(name)));
            let required = declared[name].get("required").is_some();
            assert_eq!(from["optional"].as_bool().unwrap_or(false), !required, "{name}");
        }
    }

    #[test]
    fn kubernetes_calls_maintenance_and_migrations_without_a_secret_in_the_open() {
        let job = of_kind("maintenance.yaml", "CronJob");
        assert_eq!((job["apiVersion"].as_str(), job["spec"]["concurrencyPolicy"].as_str()), (Some("batch/v1"), Some("Forbid")));
        let service = of_kind("spinapp.yaml", "SpinApp")["metadata"]["name"].as_str().unwrap().to_owned();
        let pods = [
            (&job["spec"]["jobTemplate"]["spec"]["template"]["spec"], "/ops/maintenance"),
            (&of_kind("migrate.yaml", "Job")["spec"]["template"]["spec"], "/ops/migrate"),
        ];
        for (pod, path) in pods {
            let args: Vec<_> = pod["containers"][0]["args"].as_array().unwrap().iter().map(|arg| arg.as_str().unwrap()).collect();
            assert!(args.contains(&format!("http://{service}{path}").as_str()), "{args:?}");
            let mount = pod["containers"][0]["volumeMounts"][0]["mountPath"].as_str().unwrap();
            assert!(args.contains(&format!("@{mount}/operator-header").as_str()), "{args:?}");
            assert_eq!(pod["volumes"][0]["secret"]["secretName"], runtime::OPERATOR_SECRET);
        }
    }

    /// `systemd-analyze` where there is one: programs are replaced by one that every machine has.
    #[test]
    fn systemd_takes_the_units() {
        let folder = std::env::temp_dir().join(format!("xtask-units-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        let mut units = Vec::new();
        for entry in fs::read_dir(root().join("deploy/systemd")).unwrap() {
            let entry = entry.unwrap();
            let text = fs::read_to_string(entry.path()).unwrap();
            assert!(!text.contains("Bearer"), "a token in {:?}", entry.path());
            let program = text.lines().find_map(|line| line.strip_prefix("ExecStart=")?.split(' ').next());
            let text = program.map_or_else(|| text.clone(), |program| text.replace(program, "/bin/true"));
            units.push(folder.join(entry.file_name()));
            fs::write(units.last().unwrap(), text).unwrap();
        }
        assert_eq!(units.len(), 4);
        if let Some(analyze) = crate::process::which("systemd-analyze") {
            let output = Command::new(analyze).arg("--man=no").arg("verify").args(&units).output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success() && !said.contains("tmcp-edge"), "{said}");
        }
        fs::remove_dir_all(folder).unwrap();
    }
}
