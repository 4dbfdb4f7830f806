//! `bench-seed`: what the benchmark's load needs to be there.
//!
//! People, apps and tokens come from the real API and a real homeserver, as in the e2e tests. Only the rows that merely fill the
//! database, a million of them, are written into its file, while no server has it open.

mod fill;
mod people;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

/// Seeds for the benchmark.
#[derive(Parser)]
enum Command {
    /// Sign people in at the server of TMCP_UP, and print their tokens as JSON.
    People {
        /// How many people.
        #[arg(long, default_value_t = 16)]
        count: usize,
        /// How many keys of 100 bytes each of them stores, named k0, k1 and so on.
        #[arg(long, default_value_t = 0)]
        keys: usize,
    },
    /// Add rows to the storage tables of a SQLite file that no server has open.
    Fill {
        /// The database.
        file: PathBuf,
        /// How many live keys there shall be in all.
        #[arg(long)]
        until: u64,
    },
}

fn main() -> ExitCode {
    match run(Command::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::People { count, keys } => {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            println!("{}", runtime.block_on(people::make(count, keys)));
            Ok(())
        }
        Command::Fill { file, until } => {
            let added = fill::fill(&file, until)?;
            println!("{}", serde_json::json!({ "added": added }));
            Ok(())
        }
    }
}
