//! The steps that need a server: the same test files against each runtime, with a Synapse and the contract function.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, anyhow};
use serde_json::Value;

use super::{Kind, Suite};
use crate::build::Runtime;
use crate::peers::StoragePeer;
use crate::process;
use crate::progress::Progress;
use crate::tools;
use crate::up::{self, UpArgs, fresh, state};

/// The package of black-box tests.
const PACKAGE: &str = "tmcp-e2e";
/// The one test binary that wants a server of its own, whose rate buckets never refill.
const LIMITS: &str = "limits";
/// Capacities out of the way where limits are not the subject.
pub(super) const WIDE_LIMITS: &str = r#"{"scale":1000}"#;
/// Buckets that never refill: what passes is exactly what they hold.
const STILL_LIMITS: &str = r#"{"refill":0,"violations":{"capacity":3}}"#;
/// The test binaries that a peer in the place of storage is held to, whole, beside the one of limits; `bench/peers/README.md` says
/// what it is not asked.
const ASKED_OF_A_PEER: &[&str] = &["storage", "storage_time", "batch", "sync", "quota", "paths", "bodies", "pipeline", "tokens"];

impl Suite<'_> {
    /// Runs the test binaries of a kind (none: all) against one runtime.
    pub(super) fn live(&self, runtime: Runtime, kind: Option<Kind>) -> Result<()> {
        let targets = self.targets()?;
        let (limits, others): (Vec<_>, Vec<_>) = targets.into_iter().partition(|name| name == LIMITS);
        let wanted: Vec<_> = others.into_iter().filter(|name| is_wanted(name, kind)).collect();
        if !wanted.is_empty() {
            self.served(runtime, "e2e", WIDE_LIMITS, &wanted, None)?;
        }
        if matches!(kind, None | Some(Kind::Browser)) {
            self.browser(runtime)?;
        }
        if matches!(kind, None | Some(Kind::Schema)) {
            self.schema(runtime)?;
        }
        if matches!(kind, None | Some(Kind::E2e)) && !limits.is_empty() {
            self.served(runtime, LIMITS, STILL_LIMITS, &limits, None)?;
        }
        Ok(())
    }

    /// Runs the storage part of the test binaries with a peer of the benchmark in the place of storage.
    pub(super) fn storage_peer(&self, peer: StoragePeer) -> Result<()> {
        peer.build(self.paths, self.progress)?;
        self.step("checking the types of the peer", "check-peer", &mut peer.check(self.paths))?;
        let wanted: Vec<String> = ASKED_OF_A_PEER.iter().map(|name| (*name).to_owned()).collect();
        self.served(Runtime::Workers, "e2e", WIDE_LIMITS, &wanted, Some(peer))?;
        self.served(Runtime::Workers, LIMITS, STILL_LIMITS, &[LIMITS.to_owned()], Some(peer))
    }

    /// Starts a fresh server, runs some test binaries against it, and ends it.
    fn served(&self, runtime: Runtime, run: &str, limits: &str, targets: &[String], peer: Option<StoragePeer>) -> Result<()> {
        let mut compile = self.cargo_test(targets);
        compile.arg("--no-run");
        self.step("compiling the e2e tests", "test-e2e-compile", &mut compile)?;

        let name = peer.map_or(runtime.name(), StoragePeer::name);
        let server = self.start(runtime, name, run, limits, |args| {
            args.with_contract = peer.is_none();
            args.storage_peer = peer;
        })?;
        let mut command = self.cargo_test(targets);
        command.args(["--no-fail-fast", "--", "--test-threads=4"]);
        command.env("TMCP_UP", &server.up_file);
        if run == LIMITS {
            command.env("TMCP_LIMITS_RUN", "1");
        }
        let result = self.step(&format!("{run} tests on {name}"), &format!("test-{run}-{name}"), &mut command);
        server.end(result)
    }

    /// Starts a fresh server under `target/tmcp/test-<name>/<run>`; `change` says what else it is to have.
    pub(super) fn start(
        &self,
        runtime: Runtime,
        name: &str,
        run: &str,
        limits: &str,
        change: impl FnOnce(&mut UpArgs),
    ) -> Result<Served<'_>> {
        let folder = self.paths.work().join(format!("test-{name}"));
        let plan = fresh::plan(self.paths, runtime, folder.join(run), limits, self.progress, change)?;
        up::start_detached(&plan, self.progress)?;
        Ok(Served { up_file: plan.up_file.clone(), logs: plan.logs(), progress: self.progress })
    }

    fn cargo_test(&self, targets: &[String]) -> Command {
        let mut command = tools::cargo(self.paths);
        command.args(["test", "--package", PACKAGE]);
        for target in targets {
            command.args(["--test", target]);
        }
        command
    }

    /// The names of the package's test binaries.
    fn targets(&self) -> Result<Vec<String>> {
        let mut command = tools::cargo(self.paths);
        command.args(["metadata", "--no-deps", "--format-version", "1"]);
        let text = process::output(&mut command).context("cargo metadata failed: run it to see why")?;
        Ok(test_targets(&serde_json::from_str(&text)?))
    }
}

/// A server that a test run started: ended when the run is over, however it ends.
pub(super) struct Served<'a> {
    pub up_file: PathBuf,
    logs: PathBuf,
    progress: &'a Progress,
}

impl Served<'_> {
    /// Ends the server; what failed names its logs.
    pub(super) fn end(self, result: Result<()>) -> Result<()> {
        let logs = self.logs.clone();
        drop(self);
        result.map_err(|error| anyhow!("{error:#}; the server's logs: {}", logs.display()))
    }
}

impl Drop for Served<'_> {
    fn drop(&mut self) {
        if let Err(error) = up::down::end(&self.up_file, self.progress) {
            eprintln!("error: {error:#}");
            state::forget(&self.up_file);
        }
    }
}

fn is_wanted(target: &str, kind: Option<Kind>) -> bool {
    let contract = target.starts_with("contract");
    match kind {
        None => true,
        Some(Kind::Contract) => contract,
        Some(Kind::E2e) => !contract,
        Some(Kind::Unit | Kind::Peer | Kind::Deploy | Kind::Browser | Kind::Schema) => false,
    }
}

fn test_targets(metadata: &Value) -> Vec<String> {
    let list = |value: &Value, name: &str| value.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    list(metadata, "packages")
        .iter()
        .filter(|package| text(package, "name").as_deref() == Some(PACKAGE))
        .flat_map(|package| list(package, "targets"))
        .filter(|target| list(target, "kind").iter().any(|kind| kind == "test"))
        .filter_map(|target| text(&target, "name"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn contract_tests_are_their_own_kind() {
        assert!(is_wanted("contract", Some(Kind::Contract)));
        assert!(!is_wanted("contract", Some(Kind::E2e)));
        assert!(is_wanted("storage", Some(Kind::E2e)));
        assert!(is_wanted("contract_sql", None));
    }

    #[test]
    fn test_binaries_come_from_cargo() {
        let metadata = json!({"packages": [
            {"name": "other", "targets": [{"kind": ["test"], "name": "no"}]},
            {"name": PACKAGE, "targets": [
                {"kind": ["lib"], "name": "tmcp_e2e"},
                {"kind": ["test"], "name": "storage"},
                {"kind": ["test"], "name": "limits"},
            ]},
        ]});
        assert_eq!(test_targets(&metadata), ["storage", "limits"]);
    }
}
