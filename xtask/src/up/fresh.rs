//! A server of a run's own: for tests, soaks and the benchmark's seeds, which begin with nothing and end with the process that wants them.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use super::plan::Plan;
use super::state::DataLock;
use super::{UpArgs, prepare};
use crate::build::Runtime;
use crate::http;
use crate::paths::Paths;
use crate::progress::Progress;

/// The plan of a detached server with a Synapse on a free port, in a folder that was cleared; `change` says what else it is to have.
pub fn plan(
    paths: &Paths,
    runtime: Runtime,
    data: PathBuf,
    limits: &str,
    progress: &Progress,
    change: impl FnOnce(&mut UpArgs),
) -> Result<Plan> {
    if DataLock::is_held(&data) {
        bail!("another run is using {}", data.display());
    }
    if data.exists() {
        fs::remove_dir_all(&data).with_context(|| format!("cannot clear {}", data.display()))?;
    }
    let mut args = UpArgs {
        runtime,
        port: http::free_port()?,
        with_matrix: true,
        with_keycloak: false,
        homeserver: Vec::new(),
        provider: Vec::new(),
        detach: true,
        up_file: Some(data.join("up.json")),
        data: Some(data),
        limits: limits.to_owned(),
        with_contract: false,
        storage_peer: None,
        set: Vec::new(),
    };
    change(&mut args);
    let mut plan = prepare(paths, &args, progress)?;
    plan.owner = Some(std::process::id());
    Ok(plan)
}
