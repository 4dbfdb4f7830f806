//! `cargo xtask`: every task of the project. `.ci/run` and the README name its commands.

mod audit;
mod bench;
mod build;
mod config;
mod deploy;
mod doctor;
mod files;
mod functions;
mod fuzz;
mod group;
mod http;
mod interrupt;
mod keys;
mod log;
mod openapi;
mod paths;
mod peers;
mod process;
mod progress;
mod routes;
mod size;
mod soak;
mod test;
mod tools;
mod up;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use build::Runtimes;
use paths::Paths;
use progress::Progress;

/// Tasks of tmcp-edge.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Install what is missing, build, and serve on 127.0.0.1 until Ctrl-C.
    Up(up::UpArgs),
    /// End what `up --detach` left running.
    Down(UpFile),
    /// Say what runs.
    Status(UpFile),
    /// Start the server again on the same data.
    Restart {
        #[command(flatten)]
        file: UpFile,
        /// Start the homeserver again instead.
        #[arg(long)]
        homeserver: bool,
    },
    /// Build the wasm modules.
    Build {
        /// The platforms to build for.
        #[arg(long, value_enum, default_value = "all")]
        runtime: Runtimes,
        /// Functions to build [default: all].
        functions: Vec<String>,
        /// Also build the test-only contract function.
        #[arg(long)]
        with_contract: bool,
    },
    /// Check the machine and the configuration, and say what to do.
    Doctor,
    /// Run the checks and tests: everything, or one kind.
    Test(test::TestArgs),
    /// Print the route table.
    Routes {
        /// Fail where a manifest does not follow the table.
        #[arg(long)]
        check: bool,
    },
    /// Write openapi.json from the route table.
    Openapi {
        /// Fail where the file is not what the table gives.
        #[arg(long)]
        check: bool,
    },
    /// Print the sizes of the built functions, and fail above the budget.
    Size,
    /// Serve, load and break: the server is killed, the homeserver goes away, the clock steps; then everything is checked.
    Soak(soak::SoakArgs),
    /// Run the fuzz targets with cargo-fuzz: all, or one.
    Fuzz(fuzz::FuzzArgs),
    /// Deploy an environment to Cloudflare Workers, or make it ready for Spin.
    Deploy(deploy::DeployArgs),
    /// Look after the audit log of a server.
    Audit(audit::AuditArgs),
    /// Measure what requests cost, beside controls and peers, and write bench/report.md.
    Bench(bench::BenchArgs),
    /// The supervisor in the background.
    #[command(hide = true)]
    Supervise {
        #[arg(long)]
        plan: PathBuf,
    },
}

#[derive(clap::Args)]
struct UpFile {
    /// The up.json that is meant.
    #[arg(long, hide = true)]
    up_file: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    interrupt::install()?;
    let paths = Paths::find()?;
    let up_file = |file: UpFile| up::state::up_file(&paths, file.up_file.as_deref());
    match command {
        Command::Up(args) => up::run(&paths, &args),
        Command::Down(file) => up::down::down(&up_file(file)),
        Command::Status(file) => up::down::status(&paths, &up_file(file)),
        Command::Restart { file, homeserver } => up::down::restart(&up_file(file), homeserver),
        Command::Build { runtime, functions, with_contract } => {
            let progress = Progress::new();
            let functions = functions::select(&functions, with_contract)?;
            runtime.list().iter().try_for_each(|runtime| build::build(&paths, &progress, *runtime, &functions))
        }
        Command::Doctor => doctor::run(&paths),
        Command::Test(args) => test::run(&paths, &args),
        Command::Routes { check } => routes::run(&paths, check),
        Command::Openapi { check } => openapi::run(&paths, check),
        Command::Size => size::run(&paths),
        Command::Deploy(args) => deploy::run(&paths, &args),
        Command::Soak(args) => soak::run(&paths, &args),
        Command::Fuzz(args) => fuzz::run(&paths, &args),
        Command::Audit(args) => audit::run(&paths, args),
        Command::Bench(args) => bench::run(&paths, &args),
        Command::Supervise { plan } => up::supervisor::run_detached(&paths, &plan),
    }
}
