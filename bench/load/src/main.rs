//! `bench-load`: puts load on a server and says how it bore it.
//!
//! A closed loop: each connection sends its next request when the answer to the last is whole. Every answer's status is checked, and
//! a wrong one ends the run. One thread, so that it can be pinned to one core; `idle` is the trivial server that shows its ceiling.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that panics says so"))]

mod idle;
mod lane;
mod plan;
mod proc;
mod run;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;

/// Load for the benchmark.
#[derive(Parser)]
enum Command {
    /// Run the plan in a JSON file, and print what was measured as JSON.
    Run {
        /// The plan.
        plan: PathBuf,
    },
    /// Serve an empty 200 to everything on a free port of 127.0.0.1, which is printed, until killed.
    Idle,
}

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start the runtime");
    match runtime.and_then(|runtime| runtime.block_on(start(Command::parse()))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn start(command: Command) -> Result<()> {
    match command {
        Command::Run { plan } => {
            let plan = plan::Plan::read(&plan)?;
            let measured = run::run(plan).await?;
            println!("{}", serde_json::to_string(&measured)?);
            Ok(())
        }
        Command::Idle => idle::serve().await,
    }
}
