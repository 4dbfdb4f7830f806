//! `spin-host`: runs the project's wasm components under its `spin.toml` where Fermyon's `spin` is not available.
//!
//! A test tool, kept to what the tests need, and there to what Spin does: a fresh instance per request, which may go on
//! after its response; a new SQLite connection per `open`; private components, reached by
//! `http://<component>.spin.internal` alone; refused outbound hosts; appended `spin-*` headers. `spin-host up` takes the
//! arguments of `spin up` that the callers use, so that either program can stand in for the other.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that panics says so"))]

mod app;
mod compile;
mod counts;
mod engine;
mod host;
mod logs;
mod manifest;
mod router;
mod server;
mod variables;

use std::env;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::{Args, Parser};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

use crate::app::{App, Folders};
use crate::manifest::Manifest;

/// Runs a Spin application.
#[derive(Parser)]
enum Command {
    /// Serve the application until SIGINT or SIGTERM.
    Up(Up),
}

#[derive(Args)]
struct Up {
    /// The manifest, or the folder that it lies in.
    #[arg(short, long, default_value = "spin.toml")]
    from: PathBuf,
    /// Address to serve on; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:3000")]
    listen: SocketAddr,
    /// Folder for databases and key-value stores [default: .spin beside the manifest].
    #[arg(long)]
    state_dir: Option<PathBuf>,
    /// Folder for the components' output [default: logs in the state folder].
    #[arg(short = 'L', long)]
    log_dir: Option<PathBuf>,
    /// Folder for compiled components [default: tmcp-edge/spin-host in the user's cache folder].
    #[arg(long)]
    cache_dir: Option<PathBuf>,
    /// A variable: name=value, name=@file, @file.json or @file.toml. Also read from SPIN_VARIABLE_NAME.
    #[arg(long)]
    variable: Vec<String>,
    /// Tell at /.well-known/spin-host/counts what the components asked of the host, for a benchmark.
    #[arg(long)]
    counts: bool,
    /// Keep the components' output in the log folder alone.
    #[arg(short = 'Q', long)]
    quiet: bool,
}

fn main() -> ExitCode {
    let Command::Up(arguments) = Command::parse();
    let done = Runtime::new().context("failed to start the runtime").and_then(|runtime| {
        let done = runtime.block_on(up(arguments));
        // What still runs, ends with the process.
        runtime.shutdown_background();
        done
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("spin-host: {}", format!("{error:#}").replace('\n', " "));
            ExitCode::FAILURE
        }
    }
}

async fn up(arguments: Up) -> Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        done = run(arguments) => done,
        _ = interrupt.recv() => Ok(()),
        _ = terminate.recv() => Ok(()),
    }
}

async fn run(arguments: Up) -> Result<()> {
    let given = variables::from_arguments(&arguments.variable)?;
    let from = if arguments.from.is_dir() { arguments.from.join("spin.toml") } else { arguments.from };
    let manifest = Manifest::load(&from, &given)?;
    // Before the components are compiled, so that a taken port shows at once.
    let listener = TcpListener::bind(arguments.listen).await;
    let listener = listener.with_context(|| format!("failed to listen on {}", arguments.listen))?;
    let address = listener.local_addr()?;

    let state = arguments.state_dir.unwrap_or_else(|| from.parent().unwrap_or(Path::new(".")).join(".spin"));
    let logs = arguments.log_dir.unwrap_or_else(|| state.join("logs"));
    let cache = arguments.cache_dir.map_or_else(default_cache, Ok)?;
    let routes = manifest.routes.clone();
    let load = move || App::load(manifest, &Folders { state, logs, cache }, arguments.quiet);
    let app = tokio::task::spawn_blocking(load).await??;

    println!("Serving http://{address}");
    println!("Available Routes:");
    for (route, component) in routes {
        match route.strip_suffix("/...") {
            Some(prefix) => println!("  {component}: http://{address}{prefix} (wildcard)"),
            None => println!("  {component}: http://{address}{route}"),
        }
    }
    server::serve(Arc::new(app), listener, arguments.counts).await;
    Ok(())
}

fn default_cache() -> Result<PathBuf> {
    let absolute = |path: &PathBuf| path.is_absolute();
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(absolute);
    let cache = cache.or_else(|| Some(env::home_dir()?.join(".cache"))).context("no home folder: pass --cache-dir")?;
    Ok(cache.join("tmcp-edge/spin-host"))
}
