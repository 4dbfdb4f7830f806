//! The server process on either runtime: prepared, started, migrated and seeded.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde_json::{Value, json};

use crate::build::Runtime;
use crate::config::Config;
use crate::group::Group;
use crate::http;
use crate::interrupt;
use crate::keys::Keys;
use crate::paths::Paths;
use crate::progress::Progress;
use crate::up::plan::Plan;
use crate::up::{spin, workers};

/// How long the server may take to answer for the first time.
const READY_LIMIT: Duration = Duration::from_secs(90);

/// Client ids that `up` seeds.
pub const DEMO_CLIENT: &str = "ma_demo";
/// The demo mini-app's confidential half.
pub const DEMO_BACKEND: &str = "ma_demo_backend";
/// Where authorization codes for the demo mini-app go: nothing of ours listens there.
const DEMO_BACK: &str = "http://127.0.0.1:5173/back";
const HOST_CLIENT: &str = "tween_web";

/// Writes what the server reads, and applies the migrations that need no running server.
pub fn prepare(paths: &Paths, plan: &Plan, config: &Config, progress: &Progress) -> Result<()> {
    match plan.runtime {
        Runtime::Workers => workers::prepare(paths, plan, config, progress),
        Runtime::Spin => spin::prepare(paths, plan, config),
    }
}

/// Starts the server and waits until it answers.
pub fn start(paths: &Paths, plan: &Plan, progress: &Progress) -> Result<Group> {
    let step = progress.step(format!("starting the server on {}", plan.runtime.name()));
    if !http::is_free(plan.port) {
        bail!("{}", port_taken(plan.port));
    }
    let mut command = match plan.runtime {
        Runtime::Workers => workers::command(paths, plan),
        Runtime::Spin => spin::command(paths, plan)?,
    };
    command.envs(&plan.environment);
    let mut server = Group::start("the server", &mut command, &plan.server_log())?;
    let health = format!("{}/ops/health", plan.base_url());
    // On Spin the schema comes after the start, so a first answer may be an error.
    let is_ready = |status| status == 200 || plan.runtime == Runtime::Spin;
    server.wait_until(READY_LIMIT, &step, || http::get(&health).is_ok_and(|answer| is_ready(answer.status)))?;
    step.done();
    Ok(server)
}

/// Brings the schema up to date where the server does that itself, and puts the demo clients in.
pub fn seed(plan: &Plan, keys: &Keys, progress: &Progress) -> Result<()> {
    let base = plan.base_url();
    if plan.runtime == Runtime::Spin {
        let step = progress.step("applying migrations");
        until_success(&format!("{base}/ops/migrate"), &keys.operator_token)?;
        step.done();
    }
    let step = progress.step("seeding the demo mini-app");
    for client in clients(&base, &keys.demo_client_secret) {
        let url = format!("{base}/ops/clients");
        http::post(&url, Some(&keys.operator_token), &client)?.success("seeding clients at /ops/clients")?;
    }
    step.done();
    Ok(())
}

/// The message for a port on which somebody listens.
pub fn port_taken(port: u16) -> String {
    format!("port {port} is taken: end what listens there, or choose another with --port")
}

fn until_success(url: &str, token: &str) -> Result<()> {
    let started = Instant::now();
    loop {
        let answer = http::post_empty(url, token)?;
        match answer.status {
            200 => return Ok(()),
            400..500 => bail!("{url} answered {}: {}", answer.status, answer.body),
            _ if started.elapsed() > READY_LIMIT || interrupt::stop_wanted() => {
                bail!("{url} answered {}: {}", answer.status, answer.body)
            }
            _ => std::thread::sleep(Duration::from_millis(200)),
        }
    }
}

/// What is seeded: the demo mini-app's two clients, and the host application.
fn clients(base_url: &str, secret: &str) -> Vec<Value> {
    let scopes = ["user:read", "storage:read", "storage:write", "wallet:balance"];
    vec![
        json!({"client_id": DEMO_CLIENT, "app_id": DEMO_CLIENT, "name": "Demo", "kind": "public",
            "scopes": scopes, "origins": [base_url], "redirect_uris": [DEMO_BACK], "developer": "tmcp-edge", "host": false}),
        json!({"client_id": DEMO_BACKEND, "app_id": DEMO_CLIENT, "name": "Demo backend",
            "kind": "confidential", "client_secret": secret, "scopes": scopes, "origins": [],
            "redirect_uris": [DEMO_BACK], "host": false}),
        json!({"client_id": HOST_CLIENT, "app_id": "ma_tween", "name": "Tween for the web",
            "kind": "public", "scopes": [], "origins": [base_url], "host": true}),
    ]
}
