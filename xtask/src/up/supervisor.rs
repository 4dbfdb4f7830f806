//! The supervisor: owns the server, Synapse and the ticker from their start to their end.
//!
//! It runs inside `cargo xtask up`, or as a process of its own in the background. Whatever ends it ends what it
//! started; it writes `up.json` when everything is ready and takes it away at the end.

use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::config::{self, CONSOLE, Config};
use crate::group::Group;
use crate::interrupt;
use crate::keys::Keys;
use crate::paths::Paths;
use crate::progress::Progress;
use crate::up::keycloak::Keycloak;
use crate::up::plan::Plan;
use crate::up::server::{self, DEMO_BACKEND, DEMO_CLIENT};
use crate::up::state::{self, ConfidentialClient, DataLock, PublicClient, Up};
use crate::up::synapse::{self, Synapse};
use crate::up::ticker::Ticker;

/// `xtask supervise --plan FILE`: the supervisor in the background, in a session of its own.
pub fn run_detached(paths: &Paths, plan_file: &Path) -> Result<()> {
    let _ = rustix::process::setsid();
    run(paths, &Plan::read(plan_file)?, &Progress::new(), |_| {})
}

/// Starts everything, calls `ready`, and serves until a signal. Fails if the start fails.
pub fn run(paths: &Paths, plan: &Plan, progress: &Progress, ready: impl FnOnce(&Up)) -> Result<()> {
    let _lock = DataLock::take(&plan.data)?.with_context(|| already_up(&plan.data))?;
    let _up_file = Forget(&plan.up_file);
    // Logs are of one run; a restart of the server within it adds to them.
    let _ = fs::remove_file(plan.server_log());
    let _ = fs::remove_dir_all(plan.spin_logs());
    let keys = Keys::of(&plan.data)?;
    let matrix = if plan.with_matrix { Some(synapse::Place::free()?) } else { None };
    let matrix_url = matrix.as_ref().map(synapse::Place::url);
    let keycloak = match plan.with_keycloak {
        true => Some(Keycloak::start(paths, &plan.data, &plan.base_url(), matrix_url.as_deref(), &keys, progress)?),
        false => None,
    };
    let of_synapse = keycloak.as_ref().map(|keycloak| keycloak.of_synapse(&keys));
    let mut synapse = match matrix {
        Some(place) => Some(Synapse::start(paths, &plan.data, place, &plan.base_url(), &keys, of_synapse, progress)?),
        None => None,
    };
    let set = settings(plan, matrix_url.as_deref(), keycloak.as_ref(), &keys)?;
    let config = Config::new(&keys, &plan.base_url(), matrix_url.as_deref(), &plan.limits, &set)?;
    server::prepare(paths, plan, &config, progress)?;
    let mut server = server::start(paths, plan, progress)?;
    server::seed(plan, &keys, progress)?;
    let mut up = describe(plan, &keys, &server)?;
    if let Some(keycloak) = &keycloak {
        up.keycloak_url = Some(keycloak.url.clone());
        up.keycloak_pid = Some(keycloak.group.id());
        up.keycloak_password = Some(keys.matrix_password.clone());
    }
    if let Some(synapse) = &mut synapse {
        up.users = synapse.users(&keys, progress)?;
        up.matrix_url = Some(synapse.url.clone());
        up.synapse_pid = Some(synapse.group.id());
    }
    up.write(&plan.up_file)?;
    let ticker = Ticker::start(&plan.base_url(), &keys.operator_token);
    ready(&up);

    serve(paths, plan, progress, &mut server, synapse.as_mut(), &mut up);
    drop(ticker);
    progress.say("stopping");
    Ok(())
}

/// What is set for this run, with the providers that run beside it.
fn settings(plan: &Plan, matrix_url: Option<&str>, keycloak: Option<&Keycloak>, keys: &Keys) -> Result<Vec<String>> {
    let read = |list: &[String]| list.iter().map(|json| serde_json::from_str(json)).collect::<Result<Vec<Value>, _>>();
    let (given, homeservers) = (read(&plan.providers)?, read(&plan.homeservers)?);
    let mut providers: Vec<Value> = keycloak.map(|keycloak| keycloak.providers(keys)).transpose()?.unwrap_or_default();
    if keycloak.is_some() && plan.with_matrix {
        providers.push(json!({"id": "matrix", "kind": "matrix", "name": "Matrix", "server_name": synapse::SERVER_NAME}));
    }
    providers.extend(given);
    let mut set = plan.set.clone();
    if !providers.is_empty() {
        set.push(format!("PROVIDERS={}", Value::from(providers)));
        // Providers of development listen on this machine.
        set.push("PROVIDER_ORIGIN=*://localhost:*".to_owned());
    }
    if !homeservers.is_empty() {
        let all: Vec<Value> = matrix_url.map(config::homeserver).into_iter().chain(homeservers).collect();
        set.push(format!("HOMESERVERS={}", Value::from(all)));
    }
    Ok(set)
}

/// Watches until an end is wanted. A server that died stays down until somebody wants it back.
fn serve(paths: &Paths, plan: &Plan, progress: &Progress, server: &mut Group, mut synapse: Option<&mut Synapse>, up: &mut Up) {
    let mut reported = false;
    let tell = |up: &Up| {
        if let Err(error) = up.write(&plan.up_file) {
            progress.say(&format!("error: {error:#}"));
        }
    };
    while !interrupt::stop_wanted() && owner_lives(plan) {
        if interrupt::take_homeserver_restart()
            && let Some(synapse) = synapse.as_deref_mut()
        {
            match synapse.restart(paths, progress) {
                Ok(()) => {
                    up.synapse_pid = Some(synapse.group.id());
                    tell(up);
                }
                Err(error) => progress.say(&format!("error: {error:#}")),
            }
        }
        if interrupt::take_restart() {
            server.stop();
            match server::start(paths, plan, progress) {
                Ok(started) => {
                    *server = started;
                    reported = false;
                    up.pid = server.id();
                    tell(up);
                }
                Err(error) => progress.say(&format!("error: {error:#}")),
            }
        }
        if let (Some(status), false) = (server.ended(), reported) {
            reported = true;
            let log = plan.server_log();
            progress.say(&format!("the server ended ({status}; log: {}): `cargo xtask restart` starts it again", log.display()));
        }
        sleep(Duration::from_millis(100));
    }
}

fn describe(plan: &Plan, keys: &Keys, server: &Group) -> Result<Up> {
    let with_matrix = |value: &str| plan.with_matrix.then(|| value.to_owned());
    Ok(Up {
        base_url: plan.base_url(),
        runtime: plan.runtime,
        pid: server.id(),
        supervisor_pid: std::process::id(),
        matrix_url: None,
        server_name: with_matrix(synapse::SERVER_NAME),
        keycloak_url: None,
        keycloak_pid: None,
        keycloak_password: None,
        synapse_pid: None,
        users: Default::default(),
        demo_app: PublicClient { client_id: DEMO_CLIENT.into() },
        demo_backend: ConfidentialClient { client_id: DEMO_BACKEND.into(), client_secret: keys.demo_client_secret.clone() },
        developer_console: ConfidentialClient { client_id: CONSOLE.0.into(), client_secret: keys.console_secret.clone() },
        admin_token: keys.admin_token.clone(),
        operator_token: keys.operator_token.clone(),
        matrix_registration_secret: with_matrix(&keys.matrix_registration_secret),
        matrix_as_token: with_matrix(&keys.matrix_as_token),
        matrix_hs_token: with_matrix(&keys.matrix_hs_token),
        data_dir: plan.data.clone(),
        log_dir: plan.logs(),
        restart: vec![
            super::this_program()?.display().to_string(),
            "restart".into(),
            "--up-file".into(),
            plan.up_file.display().to_string(),
        ],
    })
}

/// Whether the process that wanted this one is still there, if it is to end with it.
fn owner_lives(plan: &Plan) -> bool {
    let parent = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get());
    plan.owner.is_none_or(|owner| parent.and_then(|id| u32::try_from(id).ok()) == Some(owner))
}

/// The message for a data folder that is in use.
pub fn already_up(data: &Path) -> String {
    format!("a server is up on {} already: `cargo xtask down` ends it", data.display())
}

/// Removes `up.json` when the supervisor ends, however it ends.
struct Forget<'a>(&'a Path);

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        state::forget(self.0);
    }
}
