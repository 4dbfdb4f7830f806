//! What one run is to do.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

/// One run against one server.
#[derive(Debug, Deserialize)]
pub struct Plan {
    /// Origin: `http://127.0.0.1:<port>`, on this machine, since each connection has a loopback address of its own.
    pub url: String,
    /// Leader of the server's process tree, whose CPU and memory are measured.
    pub pid: Option<u32>,
    /// How many connections.
    pub connections: usize,
    /// Time before the measured window, in milliseconds.
    pub warmup_ms: u64,
    /// The measured window, in milliseconds.
    pub window_ms: u64,
    /// Ends after so many requests on each connection, instead of after a time.
    pub requests_each: Option<u64>,
    /// The status that every answer must have.
    pub expect: u16,
    /// What the connections send: the n-th connection has the lane n modulo their number.
    pub lanes: Vec<Lane>,
    /// Where the lanes' tokens are kept from run to run, when each answer gives the token for the next request.
    pub chain: Option<Chain>,
}

/// Requests that one connection sends in turn, over and over.
#[derive(Debug, Clone, Deserialize)]
pub struct Lane {
    /// The requests.
    pub requests: Vec<Request>,
}

/// One request.
#[derive(Debug, Clone, Deserialize)]
pub struct Request {
    /// Method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Headers beside `Host`.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Body; `{token}` in it stands for the lane's token.
    #[serde(default)]
    pub body: String,
}

/// Tokens that are used once: each answer brings the next.
#[derive(Debug, Clone, Deserialize)]
pub struct Chain {
    /// A JSON array with a token for each lane; written again at the end.
    pub file: PathBuf,
    /// The member of the answer that is the next token.
    pub member: String,
}

impl Plan {
    /// Reads and checks a plan.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let plan: Self = serde_json::from_slice(&text).with_context(|| format!("{} is not a plan", path.display()))?;
        ensure!(plan.connections > 0, "a plan needs a connection");
        ensure!(plan.lanes.iter().all(|lane| !lane.requests.is_empty()) && !plan.lanes.is_empty(), "a lane without requests");
        ensure!(
            plan.chain.is_none() || plan.lanes.len() >= plan.connections,
            "{} connections cannot share {} chains of tokens",
            plan.connections,
            plan.lanes.len()
        );
        Ok(plan)
    }

    /// Host and port of the server.
    pub fn authority(&self) -> Result<&str> {
        let rest = self.url.strip_prefix("http://").with_context(|| format!("{} is not a http:// origin", self.url))?;
        Ok(rest.trim_end_matches('/'))
    }
}

impl Chain {
    /// The tokens at the start.
    pub fn load(&self) -> Result<Vec<String>> {
        let text = fs::read(&self.file).with_context(|| format!("cannot read {}", self.file.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("{} is not a list of tokens", self.file.display()))
    }

    /// Keeps the tokens for the next run.
    pub fn store(&self, tokens: &[String]) -> Result<()> {
        fs::write(&self.file, serde_json::to_vec(tokens)?).with_context(|| format!("cannot write {}", self.file.display()))
    }
}
