//! The servers of a run: one process tree for each host, all alive at once, each with a copy of the seeded state.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::bench::load::PROFILE;
use crate::bench::results::Results;
use crate::bench::scenario::Ask;
use crate::bench::seed::{self, OAuthPeer, Seed, Seeded};
use crate::bench::target::{Host, Kind, Target};
use crate::bench::{CONNECTIONS, Effort, machine, workers};
use crate::build::{self, Runtime};
use crate::files;
use crate::functions::{FUNCTIONS, Function};
use crate::group::Group;
use crate::http;
use crate::interrupt;
use crate::keys::Keys;
use crate::paths::Paths;
use crate::peers::{self, StoragePeer};
use crate::process;
use crate::progress::{Progress, Step};
use crate::tools::{self, keycloak, spin::SpinProgram};
use crate::up::keycloak::Keycloak;
use crate::up::synapse::{Place, Synapse};

/// The OAuth peer's folder.
const OIDC: &str = "oidc-provider";

/// How long a server may take to be there.
const READY_LIMIT: Duration = Duration::from_secs(60);

/// How long a start is watched closely.
const CLOSE: Duration = Duration::from_secs(10);

/// The control.
pub static NOOP: Function = Function { name: "noop", dir: "bench/noop", package: "tmcp-bench-noop", on_spin: true };
/// The same platform calls and nothing else.
pub static FLOOR: Function = Function { name: "floor", dir: "bench/floor", package: "tmcp-bench-floor", on_spin: true };

/// A server that runs.
pub struct Server {
    /// What it is.
    pub host: Host,
    /// The targets that it serves, of those that are wanted.
    pub targets: Vec<&'static Target>,
    /// What the load knows of it.
    pub seeded: Seeded,
    group: Group,
    urls: BTreeMap<String, String>,
    folder: PathBuf,
}

/// The file in a server's folder that holds each family's refresh token as it is now.
const CHAIN: &str = "chain.json";

/// The seeded states, by runtime.
#[derive(Debug, Clone, Default)]
pub struct Seeds {
    /// Of Workers; also Synapse's people.
    pub workers: Option<Seeded>,
    /// Of Spin.
    pub spin: Option<Seeded>,
}

impl Seeds {
    /// Those that a host starts from.
    pub fn of(&self, host: Host) -> Result<&Seeded> {
        let seeded = if host.is_spin() { &self.spin } else { &self.workers };
        seeded.as_ref().context("nothing was seeded")
    }
}

impl Server {
    /// Leader of the process tree.
    pub fn pid(&self) -> u32 {
        self.group.id()
    }

    /// The origin that serves a target's requests.
    pub fn url(&self, target: &Target, ask: Ask) -> Result<&str> {
        let entry = if ask.is_storage() { target.entries.0 } else { target.entries.1 };
        let url = self.urls.get(entry).with_context(|| format!("{} has no entry {entry:?}", self.host.name()))?;
        Ok(url)
    }

    /// Ends its process and starts another on the state that it leaves.
    pub fn renew(&mut self, paths: &Paths, progress: &Progress) -> Result<()> {
        self.group.stop();
        let renewed = start_again(paths, self.host, &self.seeded, &self.folder, false, progress)?;
        *self = Self { targets: std::mem::take(&mut self.targets), ..renewed };
        Ok(())
    }

    /// Every Worker's origin.
    pub fn urls(&self) -> &BTreeMap<String, String> {
        &self.urls
    }

    /// What the load generator is to do: for a time, unless a number of requests is set in it.
    pub fn plan(&self, target: &Target, ask: Ask, effort: Effort) -> Result<Value> {
        let lanes = ask.lanes(target.kind, &self.seeded.seed);
        let chain = (ask == Ask::Refresh && target.kind != Kind::Noop)
            .then(|| json!({"file": self.folder.join(CHAIN), "member": "refresh_token"}));
        Ok(json!({
            "url": self.url(target, ask)?, "pid": self.pid(), "connections": CONNECTIONS, "warmup_ms": effort.warmup_ms,
            "window_ms": effort.window_ms, "expect": ask.expected(target.kind), "lanes": lanes, "chain": chain,
        }))
    }
}

/// The seeds that the servers started from.
pub fn seeds(servers: &[Server]) -> Seeds {
    let of = |spin: bool| servers.iter().find(|server| server.host.is_spin() == spin).map(|server| server.seeded.clone());
    Seeds { workers: of(false), spin: of(true) }
}

/// Builds, seeds and starts what the wanted targets need; says what is not there.
pub fn start_all(paths: &Paths, wanted: &[&'static Target], results: &mut Results, progress: &Progress) -> Result<Vec<Server>> {
    let mut hosts: Vec<Host> = Vec::new();
    for target in wanted {
        if !hosts.contains(&target.host) {
            hosts.push(target.host);
        }
    }
    hosts.retain(|host| match absent(paths, *host) {
        Some(why) => {
            progress.say(&format!("without {}: {why}", host.name()));
            results.missing.push(format!("{}: {why}", host.name()));
            false
        }
        None => true,
    });
    let mut seeds = Seeds::default();
    if hosts.iter().any(|host| !host.is_spin()) {
        seeds.workers = Some(seed::make(paths, Runtime::Workers, progress)?);
    }
    if hosts.iter().any(|host| host.is_spin()) {
        let mut seeded = seed::make(paths, Runtime::Spin, progress)?;
        let (program, what) = spin_program(paths, progress)?;
        results.spin_counts = program.ends_with("spin-host");
        seeded.plan.spin_program = Some(program);
        results.spin = Some(what);
        seeds.spin = Some(seeded);
    }
    build(paths, &hosts, progress)?;
    hosts
        .into_iter()
        .map(|host| {
            let folder = super::state_folder(paths).join(host.name());
            let mut server = start(paths, host, &seeds, &folder, false, progress)?;
            server.targets = wanted.iter().copied().filter(|target| target.host == host).collect();
            Ok(server)
        })
        .collect()
}

/// Why a host cannot be there; `None` if it can.
fn absent(paths: &Paths, host: Host) -> Option<String> {
    let needs = match host {
        Host::WorkersFloor => "bench/floor/wrangler.toml",
        Host::SpinFloor => "bench/floor/spin.toml",
        Host::WorkersHono => "bench/peers/hono/package.json",
        Host::OidcProvider => "bench/peers/oidc-provider/package.json",
        _ => return None,
    };
    (!paths.root.join(needs).is_file()).then(|| format!("there is no {needs}"))
}

fn build(paths: &Paths, hosts: &[Host], progress: &Progress) -> Result<()> {
    for runtime in [Runtime::Workers, Runtime::Spin] {
        let (noop, floor) = match runtime {
            Runtime::Workers => (Host::WorkersNoop, Host::WorkersFloor),
            Runtime::Spin => (Host::SpinNoop, Host::SpinFloor),
        };
        let controls = [(noop, &NOOP), (floor, &FLOOR)];
        let extra: Vec<&'static Function> =
            controls.into_iter().filter(|(host, _)| hosts.contains(host)).map(|(_, function)| function).collect();
        if !extra.is_empty() {
            // With the product's own, so that shared dependencies are compiled once and the same.
            let all: Vec<_> = FUNCTIONS.iter().chain(extra).collect();
            build::build(paths, progress, runtime, &all)?;
        }
    }
    if hosts.contains(&Host::WorkersHono) {
        StoragePeer::Hono.build(paths, progress)?;
    }
    Ok(())
}

/// The program that runs Spin applications, and what to call it in the report.
fn spin_program(paths: &Paths, progress: &Progress) -> Result<(PathBuf, String)> {
    if let SpinProgram::Spin { path, version } = SpinProgram::find() {
        return Ok((path, version));
    }
    let _lock = tools::build_lock(paths, progress)?;
    let step = progress.step("building the Spin test host, optimised (no spin 3.x or 4.x on PATH)");
    let mut build = tools::cargo(paths);
    build.args(["build", "--profile", PROFILE, "--package", "tmcp-spin-host"]);
    process::run(&step, &mut build, &paths.log("build-bench-spin-host")).context("failed to build tests/spin-host")?;
    let host = super::folder(paths).join("spin-host");
    files::copy(&paths.cargo_target.join(PROFILE).join("spin-host"), &host)?;
    step.done();
    Ok((host, "tests/spin-host of this repository (wasmtime 48, optimised), since no `spin` is installed".to_owned()))
}

/// Starts a host in a folder of its own, on a copy of the seeded state. With `count`, its Workers count.
pub fn start(paths: &Paths, host: Host, seeds: &Seeds, folder: &Path, count: bool, progress: &Progress) -> Result<Server> {
    let seeded = seeds.of(host)?;
    prepare(paths, host, seeded, folder, progress)?;
    start_again(paths, host, seeded, folder, count, progress)
}

/// Lays the state out that a host starts from.
pub fn prepare(paths: &Paths, host: Host, seeded: &Seeded, folder: &Path, progress: &Progress) -> Result<()> {
    let parts: &[&str] = match host {
        Host::Workers | Host::WorkersFloor | Host::WorkersHono => &["wrangler"],
        Host::Spin | Host::SpinFloor => &["spin"],
        Host::Synapse => &["synapse"],
        Host::WorkersNoop | Host::SpinNoop | Host::OidcProvider | Host::Keycloak => &[],
    };
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot clear {}", folder.display()))?;
    }
    files::make_folder(folder)?;
    for part in parts {
        seed::copy_folder(&seeded.plan.data.join(part), &folder.join(part))?;
    }
    for file in ["keys.json", "spin-variables.json"] {
        let from = seeded.plan.data.join(file);
        if from.is_file() {
            files::copy(&from, &folder.join(file))?;
        }
    }
    if host == Host::WorkersHono {
        workers::migrate_peer(paths, folder, progress)?;
    }
    let tokens: Vec<&str> = seeded.seed.people.iter().map(|person| person.refresh.as_str()).collect();
    files::write_json(&folder.join(CHAIN), &tokens)
}

/// Starts a host on the state that lies in its folder.
pub fn start_again(
    paths: &Paths,
    host: Host,
    seeded: &Seeded,
    folder: &Path,
    count: bool,
    progress: &Progress,
) -> Result<Server> {
    let mut seeded = seeded.clone();
    let (group, urls) = if host.is_workers() {
        workers::start(paths, host, &seeded, folder, count, progress)?
    } else if host.is_spin() {
        start_spin(paths, host, &seeded, folder, count, progress)?
    } else if host == Host::Synapse {
        let keys = Keys::of(folder)?;
        let mut synapse = Synapse::start(paths, folder, Place::free()?, &seeded.plan.base_url(), &keys, None, progress)?;
        synapse.users(&keys, progress)?;
        (synapse.group, one(synapse.url))
    } else if host == Host::Keycloak {
        start_keycloak(paths, &mut seeded.seed, folder, progress)?
    } else {
        start_oidc(paths, &mut seeded.seed, folder, progress)?
    };
    machine::pin(group.id());
    Ok(Server { host, targets: Vec::new(), seeded, group, urls, folder: folder.to_path_buf() })
}

fn one(url: String) -> BTreeMap<String, String> {
    BTreeMap::from([(String::new(), url)])
}

fn start_spin(
    paths: &Paths,
    host: Host,
    seeded: &Seeded,
    folder: &Path,
    count: bool,
    progress: &Progress,
) -> Result<(Group, BTreeMap<String, String>)> {
    let program = seeded.plan.spin_program.as_ref().context("no program to run Spin components with")?;
    let manifest = match host {
        Host::SpinNoop => paths.root.join(NOOP.dir).join("spin.toml"),
        Host::SpinFloor => paths.root.join(FLOOR.dir).join("spin.toml"),
        _ => paths.root.join("spin.toml"),
    };
    let with_variables = fs::read_to_string(&manifest).is_ok_and(|text| text.contains("[variables]"));
    let port = http::free_port()?;
    let mut command = machine::pinned(program, machine::SERVER_CORE);
    tools::clean_environment(&mut command);
    command.arg("up").arg("--from").arg(&manifest).args(["--listen", &format!("127.0.0.1:{port}")]);
    command.arg("--state-dir").arg(folder.join("spin")).arg("--log-dir").arg(folder.join("logs")).arg("--quiet");
    if count {
        command.arg("--counts");
    }
    if with_variables {
        command.arg("--variable").arg(format!("@{}", folder.join("spin-variables.json").display()));
    }
    let log = folder.join("server.log");
    let mut group = Group::start("the Spin server", &mut command, &log)?;
    let url = format!("http://127.0.0.1:{port}");
    let step = progress.step(format!("starting {}", host.name()));
    // Answered by Spin itself, so that no component has run when the first request comes.
    let health = format!("{url}/.well-known/spin/health");
    wait(&mut group, &step, || http::get(&health).is_ok_and(|answer| answer.status == 200))?;
    step.done();
    Ok((group, one(url)))
}

/// The OAuth peer: its start script says where it is, and makes a family of refresh tokens for every connection.
fn start_oidc(paths: &Paths, seed: &mut Seed, folder: &Path, progress: &Progress) -> Result<(Group, BTreeMap<String, String>)> {
    peers::install(paths, progress, OIDC)?;
    let peer = peers::folder(paths, OIDC);
    let log = fresh_log(folder);
    let mut command = node(paths);
    // As it would run in production: without it, its framework keeps more for debugging.
    command.arg(peer.join("start.mjs")).current_dir(&peer).env("NODE_ENV", "production");
    let mut group = Group::start("oidc-provider", &mut command, &log)?;
    let ready = first_line(&mut group, &log, progress, "oidc-provider")?;
    let text = |name: &str| {
        let value = ready.get(name).and_then(Value::as_str);
        value.map(str::to_owned).with_context(|| format!("oidc-provider said nothing of its {name}"))
    };
    let (origin, token_endpoint) = (text("issuer")?, text("token_endpoint")?);
    let path = token_endpoint.strip_prefix(&origin).context("oidc-provider's token endpoint lies elsewhere")?.to_owned();
    let families = format!("{}?count={CONNECTIONS}", text("families_endpoint")?);
    let families = http::post(&families, None, &json!({}))?.success("making families at oidc-provider")?;
    let tokens = families.get("refresh_tokens").context("oidc-provider made no families")?;
    let subjects = families.get("subject_tokens").cloned().context("oidc-provider made no tokens to exchange")?;
    let (client_id, client_secret) = (text("client_id")?, text("client_secret")?);
    seed.oauth = Some(OAuthPeer { path, client_id, client_secret, subjects: serde_json::from_value(subjects)? });
    files::write_json(&folder.join(CHAIN), tokens)?;
    Ok((group, one(origin)))
}

/// Keycloak, with a realm of its own: people with a password, whose refresh tokens are used once, as ours are.
fn start_keycloak(
    paths: &Paths,
    seed: &mut Seed,
    folder: &Path,
    progress: &Progress,
) -> Result<(Group, BTreeMap<String, String>)> {
    {
        let _lock = tools::install_lock(paths, progress)?;
        keycloak::ensure(paths, progress)?;
    }
    files::make_folder(&folder.join("logs"))?;
    let keys = Keys::of(folder)?;
    let client = ("bench", keys.demo_client_secret.as_str());
    let mut command = machine::pinned(Path::new("bash"), machine::SERVER_CORE);
    command.arg(keycloak::script(paths));
    let realm = keycloak_realm(client, &keys.matrix_password);
    let server = Keycloak::begin(command, folder, &keys, &realm.to_string(), progress)?;
    let path = "/realms/bench/protocol/openid-connect/token".to_owned();
    let step = progress.step(format!("signing {CONNECTIONS} people in at Keycloak"));
    let (mut subjects, mut families) = (Vec::new(), Vec::new());
    for n in 0..CONNECTIONS {
        let name = format!("user-{n}");
        let form = [
            ("grant_type", "password"),
            ("client_id", client.0),
            ("client_secret", client.1),
            ("username", name.as_str()),
            ("password", keys.matrix_password.as_str()),
        ];
        let answer = http::post_form(&format!("{}{path}", server.url), &form)?.success("signing in at Keycloak")?;
        let token = |name: &str| answer.get(name).and_then(Value::as_str).map(str::to_owned).context("Keycloak gave no token");
        subjects.push(token("access_token")?);
        families.push(token("refresh_token")?);
    }
    step.done();
    files::write_json(&folder.join(CHAIN), &families)?;
    seed.oauth = Some(OAuthPeer { path, client_id: client.0.to_owned(), client_secret: client.1.to_owned(), subjects });
    Ok((server.group, one(server.url)))
}

fn keycloak_realm((id, secret): (&str, &str), password: &str) -> Value {
    let person = |n: usize| {
        json!({"username": format!("user-{n}"), "enabled": true, "email": format!("user-{n}@example.org"), "emailVerified": true,
            "firstName": "User", "lastName": n.to_string(), "credentials": [{"type": "password", "value": password}]})
    };
    json!({
        "realm": "bench", "enabled": true, "sslRequired": "none", "revokeRefreshToken": true, "refreshTokenMaxReuse": 0,
        "accessTokenLifespan": 86_400, "ssoSessionIdleTimeout": 86_400, "ssoSessionMaxLifespan": 86_400,
        "clients": [{"clientId": id, "secret": secret, "protocol": "openid-connect", "publicClient": false, "standardFlowEnabled": false,
            "directAccessGrantsEnabled": true, "attributes": {"standard.token.exchange.enabled": "true"}}],
        "users": (0..CONNECTIONS).map(person).collect::<Vec<_>>(),
    })
}

/// Waits closely at first, since starts are measured, and says what went wrong as every other wait does.
fn wait(group: &mut Group, step: &Step, ready: impl Fn() -> bool) -> Result<()> {
    let begun = Instant::now();
    while begun.elapsed() < CLOSE && group.ended().is_none() && !interrupt::stop_wanted() {
        if ready() {
            return Ok(());
        }
        sleep(Duration::from_millis(2));
    }
    group.wait_until(READY_LIMIT, step, ready)
}

/// Waits for the first line that a server writes, which is JSON.
pub fn first_line(group: &mut Group, log: &Path, progress: &Progress, what: &str) -> Result<Value> {
    let step = progress.step(format!("starting {what}"));
    let line = || {
        let text = fs::read_to_string(log).unwrap_or_default();
        text.split_once('\n').and_then(|_| text.lines().find(|line| line.starts_with('{')).map(str::to_owned))
    };
    wait(group, &step, || line().is_some())?;
    step.done();
    let line = line().context("it said nothing")?;
    let value: Value = serde_json::from_str(&line).with_context(|| format!("{what} said {line:?}"))?;
    ensure!(value.is_object(), "{what} said {line:?}");
    Ok(value)
}

/// A program of the run's own folder, so that a log names it.
pub fn fresh_log(folder: &Path) -> PathBuf {
    let log = folder.join("server.log");
    let _ = fs::remove_file(&log);
    log
}

/// A Node program, pinned to the servers' core, in the project's environment.
pub fn node(paths: &Paths) -> Command {
    let mut command = machine::pinned(&tools::npm::Npm::new(paths).node(), machine::SERVER_CORE);
    tools::clean_environment(&mut command);
    command
}
