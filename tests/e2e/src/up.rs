//! `up.json`: what `cargo xtask up` says of the server.

use crate::matrix::MatrixUser;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What is up.
#[derive(Debug, Clone, Deserialize)]
pub struct Up {
    /// Public origin.
    pub base_url: String,
    /// `workers` or `spin`.
    pub runtime: String,
    /// Leader of the server's process group.
    pub pid: i32,
    /// Origin of the homeserver.
    pub matrix_url: Option<String>,
    /// The homeserver's name.
    pub server_name: Option<String>,
    /// alice and bob.
    pub users: BTreeMap<String, MatrixUser>,
    /// The demo mini-app's public client.
    pub demo_app: DemoClient,
    /// Its confidential half.
    pub demo_backend: DemoClient,
    /// The developers' console.
    pub developer_console: DemoClient,
    /// Administrator's secret.
    pub admin_token: String,
    /// Operator's secret.
    pub operator_token: String,
    /// Shared secret of Synapse's registration endpoint.
    pub matrix_registration_secret: Option<String>,
    /// Token of the Application Service at Synapse.
    pub matrix_as_token: Option<String>,
    /// What the homeserver shows us.
    pub matrix_hs_token: Option<String>,
    /// Data folder.
    pub data_dir: PathBuf,
    /// The server's logs.
    pub log_dir: PathBuf,
    /// The command that starts the server again on the same data.
    pub restart: Vec<String>,
}

/// A client that `up` registered.
#[derive(Debug, Clone, Deserialize)]
pub struct DemoClient {
    /// Its id.
    pub client_id: String,
    /// Its secret, if it is confidential.
    pub client_secret: Option<String>,
}

impl Up {
    /// Reads it anew.
    pub fn read() -> Self {
        let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tmcp/up.json");
        let path = std::env::var_os("TMCP_UP").map_or_else(default, PathBuf::from);
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| {
            panic!("{}: {error}; `cargo xtask up --with-matrix --detach` starts a server", path.display())
        });
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }
}
