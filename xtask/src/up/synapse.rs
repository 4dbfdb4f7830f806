//! A Synapse of one's own: the Matrix homeserver that development and tests sign in with.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha1::Sha1;

use crate::files;
use crate::group::Group;
use crate::http;
use crate::keys::Keys;
use crate::paths::Paths;
use crate::process;
use crate::progress::{Progress, Step};
use crate::tools::python::SYNAPSE;
use crate::up::state::MatrixUser;

/// The homeserver's name, the part of a Matrix id after the colon.
pub const SERVER_NAME: &str = "localhost";
const USERS: &[&str] = &["alice", "bob"];
const READY_LIMIT: Duration = Duration::from_secs(60);

/// Where a Synapse is going to listen: known before it starts, since others have to know it.
pub struct Place(u16);

impl Place {
    /// A port that is free.
    pub fn free() -> Result<Self> {
        http::free_port().map(Self)
    }

    /// Its origin.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.0)
    }
}

/// A Synapse that runs, or is about to.
pub struct Synapse {
    /// Its process.
    pub group: Group,
    /// Its origin.
    pub url: String,
    folder: PathBuf,
}

impl Synapse {
    /// Writes its configuration and starts it; it is not ready yet. `provider` is one of its `oidc_providers`.
    pub fn start(
        paths: &Paths,
        data: &Path,
        place: Place,
        base_url: &str,
        keys: &Keys,
        provider: Option<Value>,
        progress: &Progress,
    ) -> Result<Self> {
        let folder = data.join("synapse");
        files::make_folder(&folder)?;
        // JSON is YAML.
        let configuration = folder.join("homeserver.yaml");
        files::write_json(&configuration, &homeserver(&folder, &place, &keys.matrix_registration_secret, provider))?;
        files::write_json(&folder.join("tmcp-as.yaml"), &application_service(base_url, keys))?;
        files::write_json(&folder.join("log.yaml"), &logging())?;
        let log = folder.join("synapse.log");
        if !folder.join("signing.key").is_file() {
            let step = progress.step("making Synapse's keys");
            let mut command = command(paths, &folder, &configuration);
            process::run(&step, command.arg("--generate-keys"), &log).context("failed to make Synapse's keys")?;
            step.done();
        }
        let group = Group::start("Synapse", &mut command(paths, &folder, &configuration), &log)?;
        Ok(Self { group, url: place.url(), folder })
    }

    /// Starts it again on the same data and port: ends it first if it still runs.
    pub fn restart(&mut self, paths: &Paths, progress: &Progress) -> Result<()> {
        self.group.stop();
        let mut command = command(paths, &self.folder, &self.folder.join("homeserver.yaml"));
        self.group = Group::start("Synapse", &mut command, &self.folder.join("synapse.log"))?;
        self.wait(&progress.step("starting Synapse again"))
    }

    fn wait(&mut self, step: &Step) -> Result<()> {
        let versions = format!("{}/_matrix/client/versions", self.url);
        self.group.wait_until(READY_LIMIT, step, || http::get(&versions).is_ok_and(|answer| answer.status == 200))
    }

    /// Waits until it answers, then makes sure of its users.
    pub fn users(&mut self, keys: &Keys, progress: &Progress) -> Result<BTreeMap<String, MatrixUser>> {
        let step = progress.step("starting Synapse");
        self.wait(&step)?;
        step.done();
        let step = progress.step("signing alice and bob in at Synapse");
        let mut users = BTreeMap::new();
        for name in USERS {
            users.insert((*name).to_owned(), user(&self.url, name, keys)?);
        }
        step.done();
        Ok(users)
    }
}

fn command(paths: &Paths, folder: &Path, configuration: &Path) -> Command {
    let mut command = Command::new(SYNAPSE.interpreter(paths));
    command.args(["-m", "synapse.app.homeserver", "-c"]).arg(configuration);
    command.current_dir(folder);
    command
}

/// Registers a user with the shared secret, or signs in one who is there from an earlier run.
fn user(url: &str, name: &str, keys: &Keys) -> Result<MatrixUser> {
    let register = format!("{url}/_synapse/admin/v1/register");
    let nonce = http::get(&register)?.success("Synapse")?;
    let nonce = nonce.get("nonce").and_then(Value::as_str).context("Synapse gave no nonce")?;
    let mac = registration_mac(&keys.matrix_registration_secret, nonce, name, &keys.matrix_password)?;
    let body = json!({"nonce": nonce, "username": name, "password": keys.matrix_password,
        "admin": false, "mac": mac});
    let mut answer = http::post(&register, None, &body)?;
    if answer.body.get("errcode").and_then(Value::as_str) == Some("M_USER_IN_USE") {
        let body = json!({"type": "m.login.password", "password": keys.matrix_password,
            "identifier": {"type": "m.id.user", "user": name}});
        answer = http::post(&format!("{url}/_matrix/client/v3/login"), None, &body)?;
    }
    let body = answer.success(&format!("signing {name} in at Synapse"))?;
    let text = |field: &str| body.get(field).and_then(Value::as_str).map(str::to_owned);
    match (text("user_id"), text("access_token")) {
        (Some(user_id), Some(access_token)) => Ok(MatrixUser { user_id, access_token }),
        _ => bail!("Synapse signed {name} in without an access token"),
    }
}

/// The proof that the caller knows the registration secret, as Synapse's admin API defines it.
fn registration_mac(secret: &str, nonce: &str, name: &str, password: &str) -> Result<String> {
    let mut mac = Hmac::<Sha1>::new_from_slice(secret.as_bytes()).context("no HMAC key")?;
    mac.update([nonce, name, password, "notadmin"].join("\0").as_bytes());
    Ok(mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Synapse's configuration: SQLite, this machine only, no federation, limits out of the way, guests for tests.
fn homeserver(folder: &Path, place: &Place, registration_secret: &str, provider: Option<Value>) -> Value {
    let file = |name: &str| folder.join(name);
    let many = json!({"per_second": 10_000, "burst_count": 10_000});
    json!({
        "server_name": SERVER_NAME,
        "report_stats": false,
        "pid_file": file("synapse.pid"),
        "log_config": file("log.yaml"),
        "signing_key_path": file("signing.key"),
        "media_store_path": file("media"),
        "registration_shared_secret": registration_secret,
        "bcrypt_rounds": 4,
        "allow_guest_access": true,
        "trusted_key_servers": [],
        "federation_domain_whitelist": [],
        "presence": {"enabled": false},
        "database": {"name": "sqlite3", "args": {"database": file("homeserver.db")}},
        "public_baseurl": place.url(),
        "oidc_providers": provider.into_iter().collect::<Vec<_>>(),
        "listeners": [{"port": place.0, "type": "http", "bind_addresses": ["127.0.0.1"],
            "resources": [{"names": ["client", "openid"]}]}],
        "app_service_config_files": [file("tmcp-as.yaml")],
        "rc_message": many,
        "rc_registration": many,
        "rc_login": {"address": many, "account": many, "failed_attempts": many},
        "rc_joins": {"local": many, "remote": many},
        "rc_invites": {"per_room": many, "per_user": many, "per_issuer": many},
    })
}

/// How the homeserver knows the platform: the Application Service of TMCP.
fn application_service(base_url: &str, keys: &Keys) -> Value {
    let names = |regex: &str| json!({"exclusive": true, "regex": format!("{regex}:{SERVER_NAME}")});
    json!({
        "id": "tween-miniapps",
        "url": base_url,
        "as_token": keys.matrix_as_token,
        "hs_token": keys.matrix_hs_token,
        "sender_localpart": "_tmcp",
        "rate_limited": false,
        "namespaces": {
            "users": [names("@_tmcp_.*"), names("@ma_.*")],
            "aliases": [names("#_tmcp_.*")],
            "rooms": [],
        },
    })
}

/// Warnings to standard error, which is the log file.
fn logging() -> Value {
    json!({
        "version": 1,
        "formatters": {"brief": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "brief"}},
        "root": {"level": "WARNING", "handlers": ["console"]},
        "disable_existing_loggers": false,
    })
}

/// Where Synapse's files lie: what tells its process from others.
pub fn mark(data: &Path) -> PathBuf {
    data.join("synapse")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_registration_mac_is_what_synapse_computes() {
        // python: hmac.new(b"s", b"n\0alice\0pw\0notadmin", hashlib.sha1).hexdigest()
        let mac = registration_mac("s", "n", "alice", "pw").unwrap();
        assert_eq!(mac, "6d5c9e526bd41f2d6e9c82a907572c605e7492df");
    }

    #[test]
    fn it_listens_on_this_machine_only() {
        let value = homeserver(Path::new("/d"), &Place(8008), "s", None);
        assert_eq!(value["listeners"][0]["bind_addresses"], json!(["127.0.0.1"]));
        assert_eq!(value["listeners"].as_array().unwrap().len(), 1);
        assert_eq!(value["federation_domain_whitelist"], json!([]));
        assert_eq!(value["database"]["args"]["database"], "/d/homeserver.db");
    }
}
