//! `up.json`: what runs, where, and the secrets that a test or a developer needs to use it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::build::Runtime;
use crate::files;
use crate::paths::Paths;

/// The contents of `up.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Up {
    /// Public origin, without a slash at its end.
    pub base_url: String,
    /// Which platform serves.
    pub runtime: Runtime,
    /// The server's process id; it leads a process group of its own.
    pub pid: u32,
    /// The supervisor's process id: it owns the server, Synapse and the ticker.
    pub supervisor_pid: u32,
    /// Origin of the homeserver, with `--with-matrix`.
    pub matrix_url: Option<String>,
    /// The homeserver's name, with `--with-matrix`.
    pub server_name: Option<String>,
    /// Origin of Keycloak, with `--with-keycloak`.
    pub keycloak_url: Option<String>,
    /// Process id of Keycloak, with `--with-keycloak`.
    pub keycloak_pid: Option<u32>,
    /// Password of Keycloak's people, carol and dave.
    pub keycloak_password: Option<String>,
    /// Process id of Synapse, with `--with-matrix`.
    pub synapse_pid: Option<u32>,
    /// Matrix users by short name: alice and bob.
    pub users: BTreeMap<String, MatrixUser>,
    /// The demo mini-app's public client.
    pub demo_app: PublicClient,
    /// The demo mini-app's confidential client.
    pub demo_backend: ConfidentialClient,
    /// The developers' console.
    pub developer_console: ConfidentialClient,
    /// Administrator's secret.
    pub admin_token: String,
    /// Operator's secret.
    pub operator_token: String,
    /// Shared secret of Synapse's registration endpoint: makes any number of users.
    pub matrix_registration_secret: Option<String>,
    /// What the Application Service proves itself with to Synapse.
    pub matrix_as_token: Option<String>,
    /// What Synapse proves itself with to the Application Service.
    pub matrix_hs_token: Option<String>,
    /// Data folder.
    pub data_dir: PathBuf,
    /// Logs of the server and its supervisor (not Synapse's).
    pub log_dir: PathBuf,
    /// A command line that starts the server again on the same data, and brings `pid` up to date.
    pub restart: Vec<String>,
}

/// A Matrix user of the test homeserver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MatrixUser {
    /// `@name:server`.
    pub user_id: String,
    /// The user's access token at the homeserver.
    pub access_token: String,
}

/// A client that has no secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicClient {
    /// Its id.
    pub client_id: String,
}

/// A client with a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfidentialClient {
    /// Its id.
    pub client_id: String,
    /// Its secret.
    pub client_secret: String,
}

impl Up {
    /// Reads an `up.json`; `None` if nothing is up by it.
    pub fn read(path: &Path) -> Result<Option<Self>> {
        files::read_json(path)
    }

    /// Writes it, readable by its owner only.
    pub fn write(&self, path: &Path) -> Result<()> {
        files::write_json(path, self)
    }
}

/// The `up.json` that a command means: the one named, else `TMCP_UP`, else `target/tmcp/up.json`.
pub fn up_file(paths: &Paths, named: Option<&Path>) -> PathBuf {
    named
        .map(Path::to_path_buf)
        .or_else(|| std::env::var_os("TMCP_UP").map(PathBuf::from))
        .unwrap_or_else(|| paths.work().join("up.json"))
}

/// Held by a supervisor as long as it lives: a data folder serves one server only.
pub struct DataLock {
    _file: File,
}

impl DataLock {
    /// Takes the lock; `None` if another process has it.
    pub fn take(data: &Path) -> Result<Option<Self>> {
        let path = data.join("lock");
        files::make_parent(&path)?;
        let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(file.try_lock().is_ok().then_some(Self { _file: file }))
    }

    /// Whether a supervisor lives on this data folder.
    pub fn is_held(data: &Path) -> bool {
        File::open(data.join("lock")).is_ok_and(|file| file.try_lock_shared().is_err())
    }
}

/// Takes away an `up.json` that is no longer true.
pub fn forget(path: &Path) {
    let _ = fs::remove_file(path);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Up {
        Up {
            base_url: "http://127.0.0.1:8787".into(),
            runtime: Runtime::Workers,
            pid: 12,
            supervisor_pid: 11,
            matrix_url: None,
            server_name: None,
            keycloak_url: None,
            keycloak_pid: None,
            keycloak_password: None,
            synapse_pid: None,
            users: BTreeMap::from([(
                "alice".into(),
                MatrixUser { user_id: "@alice:localhost".into(), access_token: "t".into() },
            )]),
            demo_app: PublicClient { client_id: "ma_demo".into() },
            demo_backend: ConfidentialClient { client_id: "ma_demo_backend".into(), client_secret: "s".into() },
            developer_console: ConfidentialClient { client_id: "console".into(), client_secret: "s".into() },
            admin_token: "a".into(),
            operator_token: "o".into(),
            matrix_registration_secret: None,
            matrix_as_token: None,
            matrix_hs_token: None,
            data_dir: "d".into(),
            log_dir: "d/logs".into(),
            restart: vec!["xtask".into(), "restart".into()],
        }
    }

    /// The e2e tests and people's scripts read these names: they are an interface.
    #[test]
    fn the_names_in_up_json_are_pinned() {
        let json = serde_json::to_value(example()).unwrap();
        assert_eq!(json["runtime"], "workers");
        assert_eq!(json["users"]["alice"]["access_token"], "t");
        assert_eq!(json["demo_app"]["client_id"], "ma_demo");
        assert_eq!(json["demo_backend"]["client_secret"], "s");
        for name in ["base_url", "pid", "matrix_url", "server_name", "admin_token", "operator_token", "restart"] {
            assert!(json.get(name).is_some(), "{name}");
        }
        assert_eq!(serde_json::from_value::<Up>(json).unwrap(), example());
    }

    #[test]
    fn one_supervisor_per_data_folder() {
        let data = std::env::temp_dir().join(format!("xtask-lock-{}", std::process::id()));
        assert!(!DataLock::is_held(&data));
        let lock = DataLock::take(&data).unwrap().unwrap();
        assert!(DataLock::take(&data).unwrap().is_none());
        assert!(DataLock::is_held(&data));
        drop(lock);
        assert!(!DataLock::is_held(&data));
        fs::remove_dir_all(data).unwrap();
    }
}
