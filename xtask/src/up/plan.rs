//! What one `up` is to run: written down, so that the supervisor in the background does exactly that.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::build::Runtime;
use crate::files;
use crate::peers::StoragePeer;

/// Everything that the supervisor needs to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Which platform serves.
    pub runtime: Runtime,
    /// Port on 127.0.0.1.
    pub port: u16,
    /// Data folder: keys, state of the platform, logs.
    pub data: PathBuf,
    /// Where `up.json` is written when everything is ready.
    pub up_file: PathBuf,
    /// Whether a Synapse runs with it.
    pub with_matrix: bool,
    /// Whether a Keycloak runs with it.
    #[serde(default)]
    pub with_keycloak: bool,
    /// More entries of HOMESERVERS, as JSON.
    #[serde(default)]
    pub homeservers: Vec<String>,
    /// More entries of PROVIDERS, as JSON.
    #[serde(default)]
    pub providers: Vec<String>,
    /// Whether the test-only contract function runs with it.
    pub with_contract: bool,
    /// The configuration value LIMITS, a JSON object.
    pub limits: String,
    /// The Worker that stands in the place of storage.
    pub storage_peer: Option<StoragePeer>,
    /// `NAME=VALUE` pairs for the configuration.
    pub set: Vec<String>,
    /// The program that runs Spin components; unused on Workers.
    pub spin_program: Option<PathBuf>,
    /// What the server finds in its environment besides: how a test moves its clock.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// Ends with this process, when that is its parent (the test command).
    pub owner: Option<u32>,
}

impl Plan {
    /// The public origin.
    pub fn base_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Where the server's and the supervisor's logs lie.
    pub fn logs(&self) -> PathBuf {
        self.data.join("logs")
    }

    /// The server's own output.
    pub fn server_log(&self) -> PathBuf {
        self.logs().join("server.log")
    }

    /// What Spin components write.
    pub fn spin_logs(&self) -> PathBuf {
        self.logs().join("spin")
    }

    /// What the supervisor says when it runs in the background.
    pub fn supervisor_log(&self) -> PathBuf {
        self.logs().join("supervisor.log")
    }

    /// Writes the plan into its data folder and gives the file's path.
    pub fn write(&self) -> Result<PathBuf> {
        let path = self.data.join("plan.json");
        files::write_json(&path, self)?;
        Ok(path)
    }

    /// Reads a plan.
    pub fn read(path: &Path) -> Result<Self> {
        files::read_json(path)?.with_context(|| format!("there is no {}", path.display()))
    }
}
