//! `cargo xtask up`: installs what is missing, builds, and serves with everything around it.

pub mod down;
pub mod fresh;
pub mod keycloak;
pub mod plan;
pub mod server;
mod spin;
pub mod state;
pub mod supervisor;
pub mod synapse;
mod ticker;
pub mod workers;

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use rustix::process::Signal;

use crate::build::{self, Runtime};
use crate::files;
use crate::functions;
use crate::http;
use crate::interrupt;
use crate::log;
use crate::paths::{self, Paths};
use crate::peers::StoragePeer;
use crate::process;
use crate::progress::{Progress, seconds};
use crate::tools::python::SYNAPSE;
use crate::tools::{self, spin::SpinProgram};
use plan::Plan;
use state::{DataLock, Up};

/// Options of `up`.
#[derive(Debug, Clone, Args)]
pub struct UpArgs {
    /// The platform that serves.
    #[arg(long, value_enum, default_value = "workers")]
    pub runtime: Runtime,
    /// Port on 127.0.0.1.
    #[arg(long, default_value_t = 8787)]
    pub port: u16,
    /// Also start a Synapse, with the Application Service registered and the users alice and bob.
    #[arg(long)]
    pub with_matrix: bool,
    /// Also start a Keycloak with the users carol and dave, to sign in with in a browser; Synapse takes it as a provider, too.
    #[arg(long)]
    pub with_keycloak: bool,
    /// Return when everything is ready, and leave it running.
    #[arg(long)]
    pub detach: bool,
    /// Data folder [default: target/tmcp/data-<runtime>].
    #[arg(long)]
    pub data: Option<PathBuf>,
    /// The configuration value LIMITS.
    #[arg(long, value_name = "JSON", default_value = "{}")]
    pub limits: String,
    /// Also serve the test-only contract function under /contract/.
    #[arg(long)]
    pub with_contract: bool,
    /// Serve a peer of the benchmark in the place of storage.
    #[arg(long, value_enum, hide = true)]
    pub storage_peer: Option<StoragePeer>,
    /// Replace or add a configuration value.
    #[arg(long, value_name = "NAME=VALUE", hide = true)]
    pub set: Vec<String>,
    /// One more entry of HOMESERVERS, as JSON.
    #[arg(long, value_name = "JSON", hide = true)]
    pub homeserver: Vec<String>,
    /// One more entry of PROVIDERS, as JSON.
    #[arg(long, value_name = "JSON", hide = true)]
    pub provider: Vec<String>,
    /// Where to write up.json.
    #[arg(long, hide = true)]
    pub up_file: Option<PathBuf>,
}

/// Brings everything up and prints where it is; ends with Ctrl-C, or at once with `--detach`.
pub fn run(paths: &Paths, args: &UpArgs) -> Result<()> {
    let progress = Progress::new();
    let plan = prepare(paths, args, &progress)?;
    if args.detach {
        let up = start_detached(&plan, &progress)?;
        announce(paths, &up, &progress, "`cargo xtask down` ends it.");
        return Ok(());
    }
    supervisor::run(paths, &plan, &progress, |up| {
        announce(paths, up, &progress, "Ctrl-C ends it.");
    })
}

/// Everything before the first process starts: checks, tools, modules, the plan.
pub fn prepare(paths: &Paths, args: &UpArgs, progress: &Progress) -> Result<Plan> {
    let name = args.runtime.name();
    let data = args.data.clone().unwrap_or_else(|| paths.work().join(format!("data-{name}")));
    files::make_folder(&data)?;
    fs::set_permissions(&data, fs::Permissions::from_mode(0o700))?;
    let data = data.canonicalize().context("the data folder cannot be used")?;
    let up_file = state::up_file(paths, args.up_file.as_deref());
    if DataLock::is_held(&data) {
        bail!("{}", supervisor::already_up(&data));
    }
    if let Some(up) = Up::read(&up_file)?
        && DataLock::is_held(&up.data_dir)
    {
        bail!("{}", supervisor::already_up(&up.data_dir));
    }
    if !http::is_free(args.port) {
        bail!("{}", server::port_taken(args.port));
    }
    if let Some(peer) = args.storage_peer {
        if args.runtime != Runtime::Workers {
            bail!("--storage-peer is a Worker: it needs --runtime workers");
        }
        peer.build(paths, progress)?;
    }
    if args.with_matrix {
        let _lock = tools::install_lock(paths, progress)?;
        SYNAPSE.ensure(paths, progress)?;
    }
    if args.with_keycloak {
        let _lock = tools::install_lock(paths, progress)?;
        tools::keycloak::ensure(paths, progress)?;
    }
    let functions: Vec<_> = functions::all(args.with_contract).collect();
    build::build(paths, progress, args.runtime, &functions)?;
    let spin_program = match args.runtime {
        Runtime::Workers => None,
        Runtime::Spin => Some(SpinProgram::find().ensure(paths, progress)?),
    };
    Ok(Plan {
        runtime: args.runtime,
        port: args.port,
        data,
        up_file,
        with_matrix: args.with_matrix,
        with_keycloak: args.with_keycloak,
        homeservers: args.homeserver.clone(),
        providers: args.provider.clone(),
        with_contract: args.with_contract,
        limits: args.limits.clone(),
        storage_peer: args.storage_peer,
        set: args.set.clone(),
        spin_program,
        environment: Default::default(),
        owner: None,
    })
}

/// Starts the supervisor in the background and waits until it has written `up.json`.
pub fn start_detached(plan: &Plan, progress: &Progress) -> Result<Up> {
    let path = plan.supervisor_log();
    files::make_parent(&path)?;
    let out = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    state::forget(&plan.up_file);
    let mut command = Command::new(this_program()?);
    command.arg("supervise").arg("--plan").arg(plan.write()?);
    command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out);
    let mut supervisor = command.spawn().context("cannot start the supervisor")?;
    let step = progress.step(format!("starting on {}", plan.runtime.name()));
    loop {
        if supervisor.try_wait()?.is_some() {
            let last = log::last_lines(&path, 1).pop().unwrap_or_default();
            bail!("{}", last.trim_start_matches("error: "));
        }
        if let Some(up) = Up::read(&plan.up_file)?
            && up.supervisor_pid == supervisor.id()
        {
            step.done();
            return Ok(up);
        }
        if interrupt::stop_wanted() {
            process::signal(supervisor.id(), Signal::TERM);
            let _ = supervisor.wait();
            bail!("interrupted");
        }
        step.tick(|| log::last_lines(&path, 1).pop().unwrap_or_default());
        sleep(Duration::from_millis(50));
    }
}

/// The program that runs, also after cargo has put a newer one in its place.
fn this_program() -> Result<PathBuf> {
    let program = std::env::current_exe().context("cannot find xtask's own program")?;
    let text = program.to_string_lossy();
    Ok(text.strip_suffix(" (deleted)").map(PathBuf::from).unwrap_or(program.clone()))
}

/// Prints where everything is, on standard output.
fn announce(paths: &Paths, up: &Up, progress: &Progress, ending: &str) {
    println!("tmcp-edge is up on {} after {}.", up.runtime.name(), seconds(progress.elapsed()));
    println!("  server   {}", up.base_url);
    if let Some(url) = &up.matrix_url {
        let users: Vec<_> = up.users.values().map(|user| user.user_id.as_str()).collect();
        println!("  Matrix   {url}  ({})", users.join(", "));
    }
    if let Some(url) = &up.keycloak_url {
        println!("  Keycloak {url}  ({}; password in up.json)", keycloak::USERS.join(", "));
    }
    let up_file = state::up_file(paths, up.restart.last().map(PathBuf::from).as_deref());
    println!("  up.json  {}  (tokens, client secrets, process ids)", paths::shown(&up_file, &paths.root));
    println!("  logs     {}", paths::shown(&up.log_dir, &paths.root));
    println!("{ending}");
}
