//! Seeds: a server of `cargo xtask up` with a Synapse, and on it people, an app and tokens, all made through the real API. The state it
//! leaves is what every server of the run starts from.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::bench::CONNECTIONS;
use crate::build::Runtime;
use crate::deploy::spin::runtime::METRICS_SAMPLE;
use crate::paths::Paths;
use crate::process;
use crate::progress::Progress;
use crate::tools;
use crate::up::plan::Plan;
use crate::up::{self, fresh};

/// Limits out of the way: what is measured is the work, and nothing is refused.
pub const LIMITS: &str = r#"{"scale":100000}"#;
/// Tokens outlive the run.
const TOKEN_LIFE: &str = "ACCESS_TOKEN_SECONDS=86400";
/// A line of log for each request goes through Node here, on the server's core; the controls and peers write none either.
const QUIET: &str = "LOG=errors";
/// Keys that each person has beside those of the scenarios.
pub const KEYS_EACH: usize = 62;

/// What the load needs to know.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Seed {
    /// The app's client.
    pub client_id: String,
    /// One person for each connection.
    pub people: Vec<Person>,
    /// Of an OAuth peer: not ours to seed.
    #[serde(skip)]
    pub oauth: Option<OAuthPeer>,
}

/// What the load needs to know of an OAuth peer.
#[derive(Debug, Clone)]
pub struct OAuthPeer {
    /// The path of its token endpoint.
    pub path: String,
    /// Its client.
    pub client_id: String,
    /// The client's secret.
    pub client_secret: String,
    /// A token for each connection, to be exchanged.
    pub subjects: Vec<String>,
}

/// Somebody who has signed in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Person {
    /// Their platform token.
    pub platform: String,
    /// Their token for the app.
    pub access: String,
    /// Their refresh token for the app, not used yet.
    pub refresh: String,
    /// Their Matrix id.
    pub matrix_id: String,
    /// Their token at the homeserver.
    pub matrix_token: String,
}

/// A seeded state that lies still.
#[derive(Debug, Clone)]
pub struct Seeded {
    /// What was made.
    pub seed: Seed,
    /// The plan it was made by: the data folder, the origin, the limits.
    pub plan: Plan,
}

/// Makes the seeds of a runtime anew.
pub fn make(paths: &Paths, runtime: Runtime, progress: &Progress) -> Result<Seeded> {
    let data = super::folder(paths).join(format!("seed-{}", runtime.name()));
    let plan = fresh::plan(paths, runtime, data.clone(), LIMITS, progress, |args| {
        args.set = [TOKEN_LIFE, QUIET].map(str::to_owned).into();
        if runtime == Runtime::Spin {
            let (name, sample) = METRICS_SAMPLE;
            args.set.push(format!("{name}={sample}"));
        }
    })?;
    let up_file = plan.up_file.clone();
    up::start_detached(&plan, progress)?;
    let made = people(paths, &up_file, &data, progress);
    up::down::end(&up_file, progress)?;
    Ok(Seeded { seed: made?, plan })
}

fn people(paths: &Paths, up_file: &Path, data: &Path, progress: &Progress) -> Result<Seed> {
    let step = progress.step(format!("signing {CONNECTIONS} people in, with {KEYS_EACH} keys each"));
    let out = data.join("people.json");
    let mut seed = Command::new(program(paths, progress)?);
    seed.args(["people", "--count", &CONNECTIONS.to_string(), "--keys", &KEYS_EACH.to_string()]).env("TMCP_UP", up_file);
    process::run(&step, &mut seed, &out).context("failed to make the people")?;
    step.done();
    crate::files::read_json(&out)?.context("no people were made")
}

/// `bench-seed`, built.
pub fn program(paths: &Paths, progress: &Progress) -> Result<PathBuf> {
    let step = progress.step("building bench/seed");
    let mut build = tools::cargo(paths);
    build.args(["build", "--package", "tmcp-bench-seed"]);
    process::run(&step, &mut build, &paths.log("build-bench-seed")).context("failed to build bench/seed")?;
    step.done();
    Ok(paths.cargo_target.join("debug/bench-seed"))
}

/// Copies a folder, to be written to.
pub fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    if to.exists() {
        fs::remove_dir_all(to).with_context(|| format!("cannot clear {}", to.display()))?;
    }
    fs::create_dir_all(to).with_context(|| format!("cannot make {}", to.display()))?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target).with_context(|| format!("cannot copy {}", entry.path().display()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_read_as_they_are_made() {
        let text = r#"{"client_id": "ma_x", "run": "r", "people": [{"uid": "u", "platform": "p", "access": "a", "refresh": "r",
            "matrix_id": "@x:y", "matrix_token": "m"}]}"#;
        let seed: Seed = serde_json::from_str(text).unwrap();
        assert_eq!(seed.people[0].access, "a");
        assert!(seed.oauth.is_none());
    }
}
