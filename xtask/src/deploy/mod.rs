//! `cargo xtask deploy`: an environment of `deploy/<name>.toml` onto Cloudflare Workers, or made ready for Spin.
//!
//! Configuration comes from one file per environment, which git ignores, and secrets from another or from standard input. Nothing that is
//! written into the checkout holds a secret, nor does a command line or an output.

pub mod environment;
mod secrets;
mod spin;
mod values;
mod workers;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::paths::Paths;

/// What is deployed, and where.
#[derive(Debug, Args)]
pub struct DeployArgs {
    #[command(subcommand)]
    target: Target,
}

#[derive(Debug, Subcommand)]
enum Target {
    /// Bring an environment to Cloudflare Workers: resources, migrations, code, secrets; what is there already stays as it is.
    Workers(workers::WorkersArgs),
    /// Check the Spin application, and write what `spin up` or SpinKube run it with.
    Spin(spin::SpinArgs),
    /// Make the secrets of a new environment: keys and tokens at random, in a file that only you may read.
    Secrets(secrets::SecretsArgs),
}

/// Which environment, and where its secrets are.
#[derive(Debug, Args)]
pub struct Which {
    /// The environment: deploy/NAME.toml.
    #[arg(long, value_name = "NAME", default_value = "production")]
    env: String,
    /// File of the secrets, as a JSON object; - reads standard input [default: deploy/NAME.secrets.json].
    #[arg(long, value_name = "FILE")]
    secrets: Option<PathBuf>,
    /// Take the modules as they were built last.
    #[arg(long)]
    no_build: bool,
}

/// Does what the command line asks for.
pub fn run(paths: &Paths, args: &DeployArgs) -> Result<()> {
    match &args.target {
        Target::Workers(args) => workers::run(paths, args),
        Target::Spin(args) => spin::run(paths, args),
        Target::Secrets(args) => secrets::make(paths, args),
    }
}
