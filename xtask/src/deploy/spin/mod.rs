//! stub
use super::Which;
use crate::paths::Paths;
use anyhow::Result;
use clap::Args;
/// Options of `deploy spin`.
#[derive(Debug, Args)]
pub struct SpinArgs {
    #[command(flatten)]
    which: Which,
    /// Check only.
    #[arg(long)]
    dry_run: bool,
}
/// Runs.
pub fn run(_: &Paths, _: &SpinArgs) -> Result<()> {
    Ok(())
}
