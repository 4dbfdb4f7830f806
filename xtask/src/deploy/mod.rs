//! `cargo xtask deploy`: an environment of `deploy/<name>.toml` onto Cloudflare Workers, or made ready for Spin.
//!
//! Configuration comes from one file per environment, which git ignores, and secrets from another or from standard input. Nothing that is
//! written into the checkout holds a secret, nor does a command line or an output.

pub mod environment;
mod secrets;
pub mod spin;
mod values;
mod workers;

use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::{Args, Subcommand};

use crate::paths::Paths;
use environment::{EXAMPLE, Environment};
use secrets::Secrets;
use values::Values;

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

/// An environment as it was written down.
struct Opened {
    environment: Environment,
    /// Not needed for a dry run.
    secrets: Option<Secrets>,
    values: Values,
}

impl Which {
    /// Reads the environment's files. The example is for dry runs, and a dry run does without secrets where there are none.
    fn open(&self, paths: &Paths, dry_run: bool) -> Result<Opened> {
        let environment = Environment::read(paths, &self.env)?;
        let (env, named) = (environment.name.as_str(), self.secrets.as_deref());
        ensure!(dry_run || env != EXAMPLE, "the example is for dry runs: copy it to deploy/production.toml, and fill that in");
        let optional = dry_run && !Secrets::are_there(paths, env, named);
        let secrets = if optional { None } else { Some(Secrets::read(paths, env, named, &environment.file.keys)?) };
        let values = Values::new(&environment.file, secrets.as_ref())?;
        Ok(Opened { environment, secrets, values })
    }
}

/// Does what the command line asks for.
pub fn run(paths: &Paths, args: &DeployArgs) -> Result<()> {
    match &args.target {
        Target::Workers(args) => workers::run(paths, args),
        Target::Spin(args) => spin::run(paths, args),
        Target::Secrets(args) => secrets::make(paths, args),
    }
}
