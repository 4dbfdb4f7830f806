//! What the machine has: programs, targets, tools, the port, room on the disk.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::Finding;
use crate::http;
use crate::paths::Paths;
use crate::process;
use crate::tools::cargo_tools::{CargoTool, WASM_BINDGEN, WORKER_BUILD};
use crate::tools::python::{self, SYNAPSE};
use crate::tools::{chromium, keycloak, npm::Npm, rust, spin::SpinProgram};

/// What a first build with all tools takes, in GiB, with some room.
const DISK_WANTED: u64 = 12;
/// The port that `up` takes unless told otherwise.
const PORT: u16 = 8787;

/// Every check of the machine.
pub fn check(paths: &Paths) -> Vec<Finding> {
    let mut findings = vec![
        program("rustc", "install Rust with rustup"),
        program("cargo", "install Rust with rustup"),
        program("cc", "install a C compiler, for example Debian's build-essential"),
        program("node", "install Node.js 18 or later"),
        program("npm", "install npm, it comes with Node.js"),
    ];
    for target in [rust::WORKERS_TARGET, rust::SPIN_TARGET] {
        findings.push(match rust::has_target(target) {
            true => Finding::Ok(format!("Rust target {target}")),
            false if process::which("rustup").is_some() => {
                Finding::Note(format!("Rust target {target} is not installed: `up` and `build` install it"))
            }
            false => Finding::Missing(format!("Rust target {target}, and no rustup to add it with")),
        });
    }
    findings.push(cargo_tool(paths, "worker-build", &WORKER_BUILD));
    findings.push(cargo_tool(paths, "wasm-bindgen", &WASM_BINDGEN));
    findings.push(locked_wasm_bindgen(paths));
    findings.push(later(Npm::new(paths).is_installed(paths), "wrangler and what comes from npm"));
    findings.push(match process::which("python3") {
        Some(_) => later(SYNAPSE.is_installed(paths), &format!("Synapse {}", python::SYNAPSE_VERSION)),
        None => Finding::Note("python3 is missing: only --with-matrix and the e2e tests need it".into()),
    });
    findings.push(match process::which("java") {
        Some(_) => later(keycloak::is_installed(paths), &format!("Keycloak {}", keycloak::VERSION)),
        None => Finding::Note(format!("java is missing: {}; as root, `test` does it", keycloak::ADVICE)),
    });
    findings.push(match chromium::program() {
        Some(program) => Finding::Ok(format!("Chromium: {}", program.display())),
        None => Finding::Note(format!("no Chromium on PATH: {}; as root, `test` does it", chromium::ADVICE)),
    });
    findings.push(match SpinProgram::find() {
        SpinProgram::Spin { version, .. } => Finding::Ok(version),
        SpinProgram::TestHost => Finding::Note("no spin 3.x or 4.x on PATH: tests/spin-host runs the components".into()),
    });
    findings.push(match http::is_free(PORT) {
        true => Finding::Ok(format!("port {PORT} is free")),
        false => Finding::Note(format!("port {PORT} is taken: `up` needs --port, unless it is `up` itself")),
    });
    findings.push(disk(&paths.cache));
    findings
}

fn program(name: &str, advice: &str) -> Finding {
    let version = process::output(Command::new(name).arg("--version"));
    let first = version.as_deref().and_then(|text| text.lines().next()).unwrap_or_default();
    // `node --version` says nothing but a number.
    let shown = if first.contains(name) { first.to_owned() } else { format!("{name} {first}") };
    Finding::when(process::which(name).is_some(), shown.trim(), advice)
}

fn later(installed: bool, what: &str) -> Finding {
    match installed {
        true => Finding::Ok(what.to_owned()),
        false => Finding::Note(format!("{what}: not installed yet, done when it is needed")),
    }
}

fn cargo_tool(paths: &Paths, name: &str, tool: &CargoTool) -> Finding {
    later(tool.is_installed(paths), &format!("{name} {}", tool.version))
}

/// The library and the command must be one version: they share a private format.
fn locked_wasm_bindgen(paths: &Paths) -> Finding {
    let lock = fs::read_to_string(paths.root.join("Cargo.lock")).unwrap_or_default();
    match locked_version(&lock, "wasm-bindgen") {
        None => Finding::Note("Cargo.lock does not name wasm-bindgen".into()),
        Some(version) => Finding::when(
            version == WASM_BINDGEN.version,
            format!("wasm-bindgen {version} in Cargo.lock"),
            &format!("it must be {0}: cargo update wasm-bindgen --precise {0}", WASM_BINDGEN.version),
        ),
    }
}

fn locked_version(lock: &str, package: &str) -> Option<String> {
    let lock: toml::Table = lock.parse().ok()?;
    let packages = lock.get("package")?.as_array()?;
    let found = packages.iter().find(|entry| entry.get("name").and_then(|name| name.as_str()) == Some(package))?;
    found.get("version")?.as_str().map(str::to_owned)
}

fn disk(folder: &Path) -> Finding {
    let existing = folder.ancestors().find(|folder| folder.is_dir()).unwrap_or(folder);
    let free = process::output(Command::new("df").arg("-Pk").arg(existing)).and_then(|text| free_gib(&text));
    match free {
        Some(free) => Finding::when(
            free >= DISK_WANTED,
            format!("{free} GiB free for the cache"),
            &format!("a first build wants {DISK_WANTED} GiB there; XDG_CACHE_HOME moves the cache"),
        ),
        None => Finding::Note("cannot tell how much room the disk has".into()),
    }
}

/// The fourth column of the second line of `df -Pk`, in GiB.
fn free_gib(df: &str) -> Option<u64> {
    let kib: u64 = df.lines().nth(1)?.split_whitespace().nth(3)?.parse().ok()?;
    Some(kib / (1024 * 1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_space_is_read_from_df() {
        let df = "Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/vda 264000000 13000000 83886080 14% /\n";
        assert_eq!(free_gib(df), Some(80));
        assert_eq!(free_gib("nonsense"), None);
    }

    #[test]
    fn the_locked_version_is_found() {
        let lock =
            "[[package]]\nname = \"a\"\nversion = \"1.0.0\"\n[[package]]\nname = \"wasm-bindgen\"\nversion = \"0.2.130\"\n";
        assert_eq!(locked_version(lock, "wasm-bindgen").as_deref(), Some("0.2.130"));
        assert_eq!(locked_version(lock, "b"), None);
    }
}
