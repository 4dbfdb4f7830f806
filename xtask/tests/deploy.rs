//! `cargo xtask deploy workers`, the program itself with the real wrangler, against a stand-in for Cloudflare's API.
//!
//! Left out of a plain `cargo test`, since wrangler must be installed: `cargo xtask test deploy` runs it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that panics says so"
)]
#![allow(missing_docs, reason = "nothing here is used from elsewhere")]

mod cloudflare;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cloudflare::{ACCOUNT, Cloudflare, TOKEN};
use serde_json::Value;

const WORKERS: [&str; 12] = [
    "account",
    "auth",
    "broker",
    "consent",
    "developer",
    "gateway",
    "identity",
    "lifecycle",
    "ops",
    "saml",
    "storage",
    "subjects",
];

/// A checkout with the project's manifests and modules of a few bytes, one environment in it, and a stand-in to deploy to.
struct Site {
    root: PathBuf,
    /// A copy of the program: a build beside the test may replace the one that cargo made.
    program: PathBuf,
    cloudflare: Cloudflare,
}

/// How a run ended, and everything it said.
struct Ended {
    success: bool,
    said: String,
}

impl Site {
    fn new(name: &str) -> Self {
        let root = std::env::temp_dir().join(format!("xtask-deploy-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        let project = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let mut files =
            vec!["wrangler.toml".to_owned(), "spin.toml".into(), "deploy/budget.toml".into(), "deploy/example.toml".into()];
        files.extend(["xtask/npm/package.json".to_owned(), "xtask/npm/package-lock.json".into()]);
        files.extend(
            WORKERS
                .iter()
                .filter(|function| **function != "gateway")
                .map(|function| format!("functions/{function}/wrangler.toml")),
        );
        let migrations = fs::read_dir(project.join("migrations")).unwrap();
        files.extend(migrations.map(|entry| format!("migrations/{}", entry.unwrap().file_name().into_string().unwrap())));
        for file in files {
            let to = root.join(&file);
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            fs::copy(project.join(&file), to).unwrap();
        }
        let program = root.with_extension("program");
        fs::copy(env!("CARGO_BIN_EXE_xtask"), &program).unwrap();
        let site = Self { root, program, cloudflare: Cloudflare::start() };
        WORKERS.iter().for_each(|function| site.build(function, "first"));
        let example = fs::read_to_string(site.root.join("deploy/example.toml")).unwrap();
        let own = example.replace("account_id = \"\"", &format!("account_id = \"{ACCOUNT}\""));
        fs::write(site.environment(), own).unwrap();
        let made = site.run(&["deploy", "secrets", "--env", "testing"]);
        assert!(made.success, "{}", made.said);
        site
    }

    fn environment(&self) -> PathBuf {
        self.root.join("deploy/testing.toml")
    }

    fn secrets_file(&self) -> PathBuf {
        self.root.join("deploy/testing.secrets.json")
    }

    /// Puts a module there as if it had been built.
    fn build(&self, function: &str, text: &str) {
        let build = self.root.join("functions").join(function).join("build");
        fs::create_dir_all(&build).unwrap();
        fs::write(build.join("index_bg.wasm"), b"\0asm\x01\0\0\0").unwrap();
        let module = format!(
            "import {{ DurableObject }} from \"cloudflare:workers\";\nimport wasm from \"./index_bg.wasm\";\n\
             export class SubjectEntity extends DurableObject {{}}\n\
             export default {{ fetch: () => new Response(\"{text} \" + wasm), scheduled() {{}} }};\n"
        );
        fs::write(build.join("index.js"), module).unwrap();
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(args).current_dir(&self.root).stdin(Stdio::null());
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy().to_uppercase();
            if text.starts_with("CLOUDFLARE_") || text.starts_with("WRANGLER_") || text.ends_with("_PROXY") {
                command.env_remove(&name);
            }
        }
        let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|folder| !folder.as_os_str().is_empty());
        let cache = cache.or_else(|| std::env::home_dir().map(|home| home.join(".cache"))).unwrap();
        command.env("XDG_CACHE_HOME", cache).env("XDG_CONFIG_HOME", self.root.join("home"));
        command.env("CLOUDFLARE_API_TOKEN", TOKEN).env("CLOUDFLARE_API_BASE_URL", self.cloudflare.url());
        command
    }

    fn run(&self, args: &[&str]) -> Ended {
        ended(&mut self.command(args))
    }

    fn deploy(&self) -> Ended {
        self.run(&["deploy", "workers", "--env", "testing", "--no-build"])
    }

    /// Every string among the secrets, and the token.
    fn hidden(&self) -> Vec<String> {
        let secrets: Value = serde_json::from_slice(&fs::read(self.secrets_file()).unwrap()).unwrap();
        let mut found = vec![TOKEN.to_owned()];
        let key = &secrets["SIGNING_KEYS"]["keys"][0];
        found.extend(["d", "p", "q", "dp", "dq", "qi"].map(|member| key[member].as_str().unwrap().to_owned()));
        found.push(secrets["STORAGE_KEYS"]["keys"]["k1"].as_str().unwrap().to_owned());
        found.extend(["SERVICE_KEY", "OPERATOR_TOKEN"].map(|name| secrets[name].as_str().unwrap().to_owned()));
        found
    }

    /// Fails if a secret stands in a file anywhere below the checkout but in its own.
    fn assert_nothing_leaked(&self, said: &str) {
        let hidden = self.hidden();
        let mut folders = vec![self.root.clone()];
        let mut texts = vec![("what it said".to_owned(), said.as_bytes().to_vec())];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path != self.secrets_file() {
                    texts.push((path.display().to_string(), fs::read(&path).unwrap()));
                }
            }
        }
        for (place, text) in texts {
            let text = String::from_utf8_lossy(&text);
            assert!(!hidden.iter().any(|secret| text.contains(secret.as_str())), "a secret stands in {place}");
        }
    }

    fn changes(&self) -> Vec<String> {
        std::mem::take(&mut self.cloudflare.state().changes)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.program);
        if !std::thread::panicking() {
            let _ = fs::remove_dir_all(&self.root);
        }
    }
}

fn ended(command: &mut Command) -> Ended {
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    Ended { success: output.status.success(), said: String::from_utf8_lossy(&said).into_owned() }
}

/// Looks at every command line on the machine, again and again, for secrets.
struct Watch {
    stop: Arc<AtomicBool>,
    found: Arc<Mutex<Vec<String>>>,
    thread: Option<std::thread::JoinHandle<usize>>,
}

impl Watch {
    fn start(hidden: Vec<String>) -> Self {
        let (stop, found) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let (stopped, list) = (stop.clone(), found.clone());
        let thread = std::thread::spawn(move || {
            let mut looked = 0;
            while !stopped.load(Ordering::Relaxed) {
                for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
                    let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
                    let line = String::from_utf8_lossy(&line).into_owned();
                    looked += usize::from(line.contains("wrangler.js"));
                    if hidden.iter().any(|secret| line.contains(secret.as_str())) {
                        list.lock().unwrap().push(line);
                    }
                }
                std::thread::sleep(Duration::from_millis(25));
            }
            looked
        });
        Self { stop, found, thread: Some(thread) }
    }

    /// Says how often wrangler was seen.
    fn finish(mut self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        let looked = self.thread.take().unwrap().join().unwrap();
        assert!(self.found.lock().unwrap().is_empty(), "a secret stood on a command line");
        looked
    }
}

#[test]
#[ignore = "needs wrangler: cargo xtask test deploy"]
fn from_nothing_then_nothing_then_only_what_changed() {
    let site = Site::new("whole");
    let watch = Watch::start(site.hidden());
    let first = site.deploy();
    let seen = watch.finish();
    assert!(first.success, "{}", first.said);
    if cfg!(target_os = "linux") {
        assert!(seen > 0, "the watch saw no wrangler");
    }
    site.assert_nothing_leaked(&first.said);
    let summary = site.cloudflare.state().summary();
    assert!(site.cloudflare.state().unknown.is_empty(), "{:?}", site.cloudflare.state().unknown);
    assert_complete(&summary, &site);
    // Every stub stands before any Worker's own code, and the host of the classes before those that bind them.
    let changes = site.changes();
    let uploads: Vec<_> = changes
        .iter()
        .filter(|change| change.starts_with("PUT workers/scripts/") && !change.contains("s/tmcp-gateway-testing/"))
        .collect();
    assert!(uploads.first().is_some_and(|first| first.contains("tmcp-subjects-testing")), "{changes:#?}");
    let at = |part: &str| changes.iter().position(|change| change.contains(part)).unwrap();
    assert!(at("/query") < at("/versions"), "migrations come before code: {changes:#?}");

    let second = site.deploy();
    assert!(second.success && second.said.contains("nothing to do"), "{}", second.said);
    assert_eq!(site.changes(), Vec::<String>::new());
    let written = fs::read_to_string(site.environment()).unwrap();
    assert!(!written.contains("d1_id = \"\"") && !written.contains("kv_id = \"\""), "{written}");

    site.build("storage", "second");
    let third = site.deploy();
    assert!(third.success && third.said.contains("tmcp-storage-testing: deployed"), "{}", third.said);
    assert!(third.said.contains("tmcp-auth-testing: unchanged"), "{}", third.said);
    assert!(site.changes().iter().all(|change| change.contains("tmcp-storage-testing")));

    // Another operator's token, through standard input: ops alone reads it.
    let mut secrets: Value = serde_json::from_slice(&fs::read(site.secrets_file()).unwrap()).unwrap();
    secrets["OPERATOR_TOKEN"] = "ops_another-token-of-enough-length".into();
    fs::write(site.secrets_file(), secrets.to_string()).unwrap();
    let mut command = site.command(&["deploy", "workers", "--env", "testing", "--no-build", "--secrets", "-"]);
    command.stdin(fs::File::open(site.secrets_file()).unwrap());
    let fourth = ended(&mut command);
    assert!(fourth.success, "{}", fourth.said);
    site.assert_nothing_leaked(&fourth.said);
    let changes = site.changes();
    assert!(!changes.is_empty() && changes.iter().all(|change| change.contains("tmcp-ops-testing")), "{changes:#?}");
    let summary = site.cloudflare.state().summary();
    assert_eq!(binding(&summary, "ops", "OPERATOR_TOKEN")["text"], "ops_another-token-of-enough-length");
}

/// What a complete deployment looks like from Cloudflare's side.
fn assert_complete(summary: &Value, site: &Site) {
    let names: Vec<_> = summary["scripts"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(names, WORKERS.map(|function| format!("tmcp-{function}-testing")));
    assert_eq!(summary["namespaces"], serde_json::json!(["tmcp-testing"]));
    let migrations = summary["databases"]["tmcp-testing"]["migrations"].as_array().unwrap();
    assert_eq!(migrations.len(), fs::read_dir(site.root.join("migrations")).unwrap().count());
    let subjects = &summary["scripts"]["tmcp-subjects-testing"];
    assert_eq!(subjects["classes"], serde_json::json!(["SubjectEntity"]));
    assert_eq!(summary["scripts"]["tmcp-ops-testing"]["schedules"][0]["cron"], "* * * * *");
    assert_eq!(summary["scripts"]["tmcp-gateway-testing"]["domains"][0]["hostname"], "tmcp.example.org");
    for function in WORKERS {
        let script = &summary["scripts"][format!("tmcp-{function}-testing")];
        assert_eq!(script["subdomain"]["enabled"], false, "{function} has no public address");
        let issuer = if function == "subjects" { Value::Null } else { "https://tmcp.example.org".into() };
        assert_eq!(binding(summary, function, "ISSUER")["text"], issuer, "{function}");
        let secret = |name: &str| binding(summary, function, name)["type"] == "secret_text";
        assert_eq!(secret("SIGNING_KEYS"), function == "auth", "{function}");
        assert_eq!(secret("STORAGE_KEYS"), function == "storage", "{function}");
        assert_eq!(secret("OPERATOR_TOKEN"), function == "ops", "{function}");
        assert_eq!(secret("SERVICE_KEY"), !["gateway", "subjects"].contains(&function), "{function}");
    }
    assert_eq!(binding(summary, "storage", "SUBJECT")["script_name"], "tmcp-subjects-testing");
    assert_eq!(binding(summary, "gateway", "STORAGE")["service"], "tmcp-storage-testing");
    assert_eq!(binding(summary, "storage", "KV")["namespace_id"], "tmcp-testing");
}

fn binding<'a>(summary: &'a Value, function: &str, name: &str) -> &'a Value {
    let bindings = summary["scripts"][format!("tmcp-{function}-testing")]["bindings"].as_array().unwrap();
    bindings.iter().find(|binding| binding["name"] == name).unwrap_or(&Value::Null)
}

#[test]
#[ignore = "needs wrangler: cargo xtask test deploy"]
fn a_run_that_dies_after_any_change_is_finished_by_the_next() {
    let whole = Site::new("undisturbed");
    assert!(whole.deploy().success);
    let site = Site::new("dying");
    fs::copy(whole.secrets_file(), site.secrets_file()).unwrap();
    site.cloudflare.state().dies = true;
    let mut deaths = 0;
    // Of every Worker some changes, and of every migration one.
    for _ in 0..300 {
        site.cloudflare.state().dead = false;
        let run = site.deploy();
        site.assert_nothing_leaked(&run.said);
        if !site.cloudflare.state().dead {
            assert!(run.success, "{}", run.said);
            break;
        }
        deaths += 1;
    }
    assert!(deaths >= 20, "it died {deaths} times only: {:#?}", site.changes());
    site.cloudflare.state().dies = false;
    site.changes();
    let last = site.deploy();
    assert!(last.success && last.said.contains("nothing to do"), "{}", last.said);
    assert_eq!(site.changes(), Vec::<String>::new());
    assert_eq!(site.cloudflare.state().summary(), whole.cloudflare.state().summary());
    eprintln!("died {deaths} times");
}

#[test]
#[ignore = "needs wrangler: cargo xtask test deploy"]
fn what_is_missing_or_refused_is_said_with_what_to_do() {
    let site = Site::new("wrong");
    let refused = |command: &mut Command, expected: &[&str]| {
        let run = ended(command);
        assert!(!run.success, "{}", run.said);
        for text in expected {
            assert!(run.said.contains(text), "{text}: {}", run.said);
        }
        site.assert_nothing_leaked(&run.said);
    };
    let args = ["deploy", "workers", "--no-build", "--env", "testing"];
    refused(
        &mut site.command(&["deploy", "workers", "--no-build"]),
        &["there is no deploy/production.toml", "copy deploy/example.toml"],
    );
    refused(&mut site.command(&["deploy", "workers", "--env", "example"]), &["the example is for dry runs"]);
    refused(site.command(&args).env_remove("CLOUDFLARE_API_TOKEN"), &["CLOUDFLARE_API_TOKEN is not set", "dash.cloudflare.com"]);
    refused(site.command(&args).env("CLOUDFLARE_API_TOKEN", "wrong"), &["403", "Authentication error", "Workers Scripts Edit"]);
    refused(&mut site.command(&["deploy", "secrets", "--env", "testing"]), &["exists", "not written over"]);
    let text = fs::read_to_string(site.environment()).unwrap();
    fs::write(site.environment(), text.replace(ACCOUNT, "")).unwrap();
    refused(&mut site.command(&args), &["no account is named", "CLOUDFLARE_ACCOUNT_ID"]);
    fs::write(site.environment(), text.replace("federation = \"closed\"", "federation = \"shut\"")).unwrap();
    refused(&mut site.command(&args), &["FEDERATION must be closed or open"]);
    fs::write(site.environment(), &text).unwrap();
    fs::set_permissions(site.secrets_file(), std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    refused(&mut site.command(&args), &["others may read", "chmod 600"]);
    fs::rename(site.secrets_file(), site.root.join("elsewhere.json")).unwrap();
    let run = site.deploy();
    assert!(!run.success && run.said.contains("cargo xtask deploy secrets --env testing"), "{}", run.said);
    assert!(site.changes().is_empty());
}
