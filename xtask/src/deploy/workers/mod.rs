//! `cargo xtask deploy workers`: an environment on Cloudflare.
//!
//! Steps: resources, migrations, stubs for Workers that others name and that are not there yet, then every Worker whose digest is another
//! than the deployed one's. Each step looks first and then does what is missing, so that a run that died is finished by the next one.

mod cloudflare;
mod digest;
mod manifest;
mod stub;
mod wrangler;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::Args;
use toml::Table;

use super::environment::{self, Environment};
use super::secrets::Secrets;
use super::values::Values;
use super::{Opened, Which};
use crate::build::{self, Runtime};
use crate::files;
use crate::functions::{self, Function};
use crate::paths::{Paths, shown};
use crate::progress::Progress;
use crate::size::{Report, Size};
use crate::tools::{self, npm::Npm};
use crate::up::workers as sources;
use cloudflare::{Cloudflare, Token};
use manifest::{Ids, Rendered};

/// The host of the Durable Objects goes first, the public entry last.
const ORDER: &[&str] = &[
    "subjects",
    "auth",
    "account",
    "broker",
    "consent",
    "developer",
    "identity",
    "lifecycle",
    "saml",
    "storage",
    "ops",
    "gateway",
];
/// Stands for an id that a dry run has no need to know.
const NO_D1: &str = "00000000-0000-0000-0000-000000000000";
const NO_KV: &str = "00000000000000000000000000000000";

/// Options of `deploy workers`.
#[derive(Debug, Args)]
pub struct WorkersArgs {
    #[command(flatten)]
    which: Which,
    /// Render and bundle every Worker, compare sizes with the budget, and change nothing; needs no account.
    #[arg(long)]
    dry_run: bool,
}

/// One Worker on its way.
struct Worker {
    function: &'static Function,
    /// Its rendered manifest, beside a copy of what was built.
    manifest: PathBuf,
    rendered: Rendered,
    /// What identifies this deployment of it.
    digest: String,
}

/// Runs the command.
pub fn run(paths: &Paths, args: &WorkersArgs) -> Result<()> {
    let progress = Progress::new();
    let Opened { environment, secrets, values } = args.which.open(paths, args.dry_run)?;
    // What can be found missing without a network is, before minutes of building.
    let token = if args.dry_run { None } else { Some(Token::from_environment(&environment.file.workers)?) };
    if args.which.no_build {
        let _lock = tools::install_lock(paths, &progress)?;
        Npm::new(paths).ensure(paths, &progress)?;
    } else {
        build::build(paths, &progress, Runtime::Workers, &ordered()?)?;
    }
    match (token, secrets) {
        (Some(token), Some(secrets)) => deploy(paths, environment, &values, &secrets, token, &progress),
        _ => dry_run(paths, &environment, &values, &progress),
    }
}

/// Every function in the order of deployment.
fn ordered() -> Result<Vec<&'static Function>> {
    let all: Vec<_> = functions::all(false).collect();
    let known: BTreeSet<_> = ORDER.iter().copied().collect();
    ensure!(
        all.iter().all(|function| known.contains(function.name)) && all.len() == ORDER.len(),
        "the order of deployment does not name every function"
    );
    let find = |name: &&str| all.iter().copied().find(|function| function.name == *name);
    Ok(ORDER.iter().filter_map(find).collect())
}

/// Wrangler's own dry run of every Worker, and the sizes of what it would upload.
fn dry_run(paths: &Paths, environment: &Environment, values: &Values, progress: &Progress) -> Result<()> {
    let of_file = &environment.file.workers;
    let or = |id: &str, none: &str| if id.is_empty() { none.to_owned() } else { id.to_owned() };
    let ids = Ids { account: of_file.account_id.clone(), d1: or(&of_file.d1_id, NO_D1), kv: or(&of_file.kv_id, NO_KV) };
    let mut sizes = Vec::new();
    for function in ordered()? {
        let (manifest, _) = write(paths, environment, values, &ids, function)?;
        let step = progress.step(format!("dry run of {}", function.name));
        let out = manifest.with_file_name("dry-run");
        if out.exists() {
            fs::remove_dir_all(&out).with_context(|| format!("cannot clear {}", out.display()))?;
        }
        let mut command = wrangler::command(paths, environment, &manifest);
        command.args(["deploy", "--dry-run", "--outdir"]).arg(&out);
        wrangler::run(&step, command, None, &log(paths, environment, &format!("dry-run-{}", function.name)))
            .with_context(|| format!("wrangler's dry run of {} failed", function.name))?;
        step.done();
        sizes.push((function.name, Size::of(&uploaded(&out)?)?));
    }
    let mut report = Report::new(paths)?;
    for (name, size) in sizes {
        report.line(name, Runtime::Workers, Some(size));
    }
    println!("manifests: {}", shown(&environment.folder(paths), &paths.root));
    report.finish()
}

/// What a bundle consists of: its JavaScript and wasm, without source maps and the like.
fn uploaded(out: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(out).with_context(|| format!("cannot read {}", out.display()))?;
    let mut files: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|file| file.extension().is_some_and(|kind| kind == "js" || kind == "wasm"));
    files.sort();
    ensure!(files.iter().any(|file| file.extension().is_some_and(|kind| kind == "wasm")), "wrangler bundled no wasm module");
    Ok(files)
}

/// Renders a Worker's manifest, and puts a copy of its modules beside it: a later build does not disturb a deployment.
fn write(
    paths: &Paths,
    environment: &Environment,
    values: &Values,
    ids: &Ids,
    function: &'static Function,
) -> Result<(PathBuf, Rendered)> {
    let source = sources::manifest(paths, function);
    let text = fs::read_to_string(&source).with_context(|| format!("cannot read {}", source.display()))?;
    let table: Table = text.parse().with_context(|| format!("in {}", source.display()))?;
    let rendered = manifest::render(table, environment, ids, &values.plain(function.name), function.name == "gateway")
        .with_context(|| format!("in {}", source.display()))?;
    let manifest = environment.folder(paths).join(function.name).join("wrangler.toml");
    files::write_private(&manifest, rendered.text.as_bytes())?;
    let module = build::workers_module(paths, function);
    for file in [module.with_file_name("index.js"), module] {
        ensure!(file.is_file(), "{} is not built: leave --no-build out", function.name);
        files::copy(&file, &manifest.with_file_name("build").join(file.file_name().unwrap_or_default()))?;
    }
    Ok((manifest, rendered))
}

fn log(paths: &Paths, environment: &Environment, name: &str) -> PathBuf {
    environment.folder(paths).join("logs").join(format!("{name}.log"))
}

fn deploy(
    paths: &Paths,
    mut environment: Environment,
    values: &Values,
    secrets: &Secrets,
    token: Token,
    progress: &Progress,
) -> Result<()> {
    let account = token.account.clone();
    let cloudflare = Cloudflare::new(token);
    let ids = resources(&cloudflare, &mut environment, account, progress)?;
    let mut workers = Vec::new();
    for function in ordered()? {
        let (manifest, rendered) = write(paths, &environment, values, &ids, function)?;
        let build = manifest.with_file_name("build");
        let digest = digest::of(&rendered.text, &build, &values.secret(function.name), secrets)?;
        workers.push(Worker { function, manifest, rendered, digest });
    }
    let run = Run { paths, environment: &environment, cloudflare: &cloudflare, progress };
    run.migrate(&ids, &workers)?;
    run.stubs(&workers)?;
    let mut deployed = 0;
    for worker in &workers {
        deployed += usize::from(run.worker(worker, values)?);
    }
    match deployed {
        0 => println!("{}: nothing to do", environment.name),
        _ => println!(
            "{}: {deployed} of {} Workers deployed; {}/ops/health says whether they serve",
            environment.name,
            workers.len(),
            environment.file.origin
        ),
    }
    Ok(())
}

/// The ids of database and namespace: as written in the environment's file, else found by name, else made.
fn resources(cloudflare: &Cloudflare, environment: &mut Environment, account: String, progress: &Progress) -> Result<Ids> {
    let mut d1 = environment.file.workers.d1_id.clone();
    if d1.is_empty() {
        let name = environment.d1_name();
        let found = cloudflare.database(&name)?;
        let how = if found.is_some() { "found" } else { "made" };
        d1 = found.map_or_else(|| cloudflare.make_database(&name), Ok)?;
        remember(environment, "d1_id", &d1, &format!("D1 database {name} {how}"), progress);
    }
    let mut kv = environment.file.workers.kv_id.clone();
    if kv.is_empty() {
        let name = environment.kv_name();
        let found = cloudflare.namespace(&name)?;
        let how = if found.is_some() { "found" } else { "made" };
        kv = found.map_or_else(|| cloudflare.make_namespace(&name), Ok)?;
        remember(environment, "kv_id", &kv, &format!("KV namespace {name} {how}"), progress);
    }
    Ok(Ids { account, d1, kv })
}

fn remember(environment: &mut Environment, key: &str, id: &str, what: &str, progress: &Progress) {
    let file = environment::shown_name(&environment.name);
    let next = match environment.remember(key, id) {
        Ok(true) => format!("written into {file}"),
        // A file that cannot be written, in CI perhaps, is no reason to stop: the name leads here again.
        Ok(false) | Err(_) => format!("write {key} = \"{id}\" into {file}, so that it is not looked for by its name"),
    };
    progress.say(&format!("{what}: {id} ({next})"));
}

/// What every step of a run needs.
struct Run<'a> {
    paths: &'a Paths,
    environment: &'a Environment,
    cloudflare: &'a Cloudflare,
    progress: &'a Progress,
}

impl Run<'_> {
    /// Applies the migrations that the database does not have yet.
    fn migrate(&self, ids: &Ids, workers: &[Worker]) -> Result<()> {
        let applied = self.cloudflare.applied_migrations(&ids.d1)?;
        let pending: Vec<_> = migrations(self.paths)?.into_iter().filter(|name| !applied.contains(name)).collect();
        if pending.is_empty() {
            return Ok(());
        }
        let with_database = workers.iter().find(|worker| worker.rendered.has_database);
        let worker = with_database.context("no Worker's manifest names a database")?;
        let step = self.progress.step(format!("applying {}", pending.join(", ")));
        let mut command = wrangler::command(self.paths, self.environment, &worker.manifest);
        command.args(["d1", "migrations", "apply", "DB", "--remote"]);
        wrangler::run(&step, command, None, &log(self.paths, self.environment, "migrate"))
            .context("failed to apply the migrations: no code was changed")?;
        let applied = self.cloudflare.applied_migrations(&ids.d1)?;
        let missing: Vec<_> = pending.into_iter().filter(|name| !applied.contains(name)).collect();
        ensure!(missing.is_empty(), "wrangler did not apply {}, and did not say why: no code was changed", missing.join(", "));
        step.done();
        Ok(())
    }

    /// Workers bind each other in cycles, and a binding to one that does not exist is refused: those that are missing go up empty first.
    fn stubs(&self, workers: &[Worker]) -> Result<()> {
        let bound: BTreeSet<_> = workers.iter().flat_map(|worker| &worker.rendered.bound).collect();
        for worker in workers.iter().filter(|worker| bound.contains(&worker.rendered.name)) {
            let name = &worker.rendered.name;
            if self.cloudflare.exists(name)? {
                continue;
            }
            let step = self.progress.step(format!("making {name} as a stub, so that others can be bound to it"));
            let manifest = stub::write(&worker.rendered, &worker.manifest)?;
            let mut command = wrangler::command(self.paths, self.environment, &manifest);
            command.args(["deploy", "--message", "stub of tmcp-edge"]);
            wrangler::run(&step, command, None, &log(self.paths, self.environment, &format!("stub-{}", worker.function.name)))
                .with_context(|| format!("failed to make {name}"))?;
            step.done();
        }
        Ok(())
    }

    /// Deploys a Worker unless it is there as it would be; says whether it did.
    fn worker(&self, worker: &Worker, values: &Values) -> Result<bool> {
        let name = &worker.rendered.name;
        if self.cloudflare.is_deployed(name, &worker.digest)? {
            println!("{name}: unchanged");
            return Ok(false);
        }
        let step = self.progress.step(format!("deploying {name}"));
        let mut command = wrangler::command(self.paths, self.environment, &worker.manifest);
        // One argument: a digest may begin with a hyphen.
        command.args(["deploy", &format!("--tag={}", worker.digest), "--message", "tmcp-edge"]);
        let secrets = values.secret(worker.function.name);
        let input = if secrets.is_empty() { None } else { Some(serde_json::to_vec(&secrets)?) };
        if input.is_some() {
            // Secrets go up with the code, in one version, through a pipe.
            command.args(["--secrets-file", "/dev/stdin"]);
        }
        wrangler::run(
            &step,
            command,
            input.as_deref(),
            &log(self.paths, self.environment, &format!("deploy-{}", worker.function.name)),
        )
        .with_context(|| format!("failed to deploy {name}; the next run takes up here"))?;
        self.cloudflare.mark_complete(name, &worker.digest)?;
        step.done();
        println!("{name}: deployed");
        Ok(true)
    }
}

/// The names of the checked-in migrations.
fn migrations(paths: &Paths) -> Result<Vec<String>> {
    let folder = paths.root.join("migrations");
    let entries = fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut names: Vec<_> = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    names.retain(|name| name.ends_with(".sql"));
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_function_has_its_place_in_the_order() {
        let names: Vec<_> = ordered().unwrap().into_iter().map(|function| function.name).collect();
        assert_eq!(names, ORDER);
    }

    #[test]
    fn the_checked_in_migrations_are_found() {
        let names = migrations(&Paths::find().unwrap()).unwrap();
        assert_eq!(names.first().map(String::as_str), Some("0001_foundation.sql"));
    }
}
