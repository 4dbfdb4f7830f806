//! Workers: `worker-build` in each function's crate, which leaves `build/index.js` and `build/index_bg.wasm` there; then esbuild, where
//! a function has an `entry.js` of its own.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::build::{names, stamp};
use crate::functions::Function;
use crate::paths::Paths;
use crate::process::{self, Job};
use crate::progress::Progress;
use crate::tools::cargo_tools::{WASM_BINDGEN, WORKER_BUILD};
use crate::tools::{self, npm::Npm, rust};

/// Compiles all of the functions, then bundles those whose module came out other than at their last build.
pub fn build(paths: &Paths, progress: &Progress, functions: &[&'static Function]) -> Result<()> {
    if functions.is_empty() {
        return Ok(());
    }
    // All at once, so that cargo can use every core; worker-build, which also calls cargo, then finds that work done.
    let step = progress.step(format!("compiling {} for Workers", names(functions)));
    process::run(&step, &mut compile(paths, functions), &paths.log("compile-workers"))
        .context("failed to compile for Workers")?;
    step.done();
    let stale: Vec<_> = functions.iter().copied().filter(|function| !is_fresh(paths, function)).collect();
    if stale.is_empty() {
        return Ok(());
    }
    let step = progress.step(format!("bundling and optimising {} for Workers", names(&stale)));
    let before = stamps(paths, &stale)?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    process::run_all(&step, stale.iter().map(|function| bundle(paths, function, functions)).collect(), cores)?;
    process::run_all(&step, stale.iter().filter_map(|function| wrap(paths, function)).collect(), cores)?;
    let stripped = if names::stay() { &[][..] } else { &stale };
    for function in stripped {
        let module = module(paths, function);
        let bytes = fs::read(&module).with_context(|| format!("cannot read {}", module.display()))?;
        let stripped = names::strip(&bytes).with_context(|| format!("in {}", module.display()))?;
        fs::write(&module, stripped).with_context(|| format!("cannot write {}", module.display()))?;
    }
    // A module that was compiled anew meanwhile may or may not be in the bundle: then it has no stamp.
    for ((function, before), after) in stale.iter().zip(before).zip(stamps(paths, &stale)?) {
        if before == after {
            fs::write(stamp_file(paths, function), after)?;
        }
    }
    step.done();
    Ok(())
}

fn names(functions: &[&Function]) -> String {
    functions.iter().map(|function| function.name).collect::<Vec<_>>().join(", ")
}

/// The built module of a function, without its JavaScript.
pub fn module(paths: &Paths, function: &Function) -> PathBuf {
    paths.root.join(function.dir).join("build/index_bg.wasm")
}

fn is_fresh(paths: &Paths, function: &Function) -> bool {
    let built = fs::read_to_string(stamp_file(paths, function)).unwrap_or_default();
    module(paths, function).with_file_name("index.js").is_file()
        && module(paths, function).is_file()
        && stamp::of(paths, function).is_ok_and(|wanted| wanted == built)
}

fn stamps(paths: &Paths, functions: &[&Function]) -> Result<Vec<String>> {
    functions.iter().map(|function| stamp::of(paths, function)).collect()
}

fn stamp_file(paths: &Paths, function: &Function) -> PathBuf {
    paths.root.join(function.dir).join("build/.stamp")
}

/// What worker-build runs first, so that cargo's output fits: the same packages, flags and environment.
fn compile(paths: &Paths, functions: &[&Function]) -> Command {
    let mut command = tools::cargo(paths);
    command.args(["build", "--lib", "--release", "--target", rust::WORKERS_TARGET]);
    add_packages(&mut command, functions);
    command.env("WASM_BINDGEN_USE_JS_SYS", "1");
    command
}

fn bundle(paths: &Paths, function: &Function, all: &[&Function]) -> Job {
    let _ = fs::remove_file(stamp_file(paths, function));
    let npm = Npm::new(paths);
    let mut command = Command::new(WORKER_BUILD.path(paths));
    tools::clean_environment(&mut command);
    command
        .current_dir(paths.root.join(function.dir))
        // Its first argument is the crate's path, what follows goes to cargo build.
        .args(["--release", "."])
        .env("CARGO_TARGET_DIR", &paths.cargo_target)
        .env("PATH", npm.path())
        .env("WASM_BINDGEN_BIN", WASM_BINDGEN.path(paths))
        .env("ESBUILD_BIN", npm.esbuild())
        .env("WASM_OPT_BIN", npm.wasm_opt());
    add_packages(&mut command, all);
    Job {
        failure: format!("failed to build {} for Workers", function.name),
        command,
        log: paths.log(&format!("build-workers-{}", function.name)),
    }
}

/// The entry of a function that has one of its own, and what entries import.
pub fn entry(paths: &Paths, function: &Function) -> Option<[PathBuf; 3]> {
    let entry = paths.root.join(function.dir).join("entry.js");
    let shared = |name: &str| paths.root.join("shared/workers/src").join(name);
    entry.is_file().then(|| [entry, shared("entry.js"), shared("object.js")])
}

/// How esbuild puts an entry around what worker-build made: in one file again.
pub const WRAPPING: [&str; 8] = [
    "--bundle",
    "--minify",
    "--format=esm",
    "--external:cloudflare:*",
    "--external:./build/index_bg.wasm",
    "--outfile=build/index.js",
    "--allow-overwrite",
    "--log-level=warning",
];

fn wrap(paths: &Paths, function: &Function) -> Option<Job> {
    let [entry, ..] = entry(paths, function)?;
    let npm = Npm::new(paths);
    let mut command = Command::new(npm.esbuild());
    tools::clean_environment(&mut command);
    command.current_dir(paths.root.join(function.dir)).env("PATH", npm.path()).arg(entry).args(WRAPPING);
    Some(Job {
        failure: format!("failed to bundle the entry of {}", function.name),
        command,
        log: paths.log(&format!("entry-workers-{}", function.name)),
    })
}

fn add_packages(command: &mut Command, functions: &[&Function]) {
    for function in functions {
        command.args(["--package", function.package]);
    }
}
