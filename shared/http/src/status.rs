//! What a function says of itself to `ops`: whether what it depends on answers, and how much waits to be done.

use crate::call::Call;
use crate::failure::Failure;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tmcp_ports::{HttpClient, OutboundRequest, Platform, Trust};

/// One thing that a function depends on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// What it is: `database`, `signing_keys`, `homeserver example.org`.
    pub name: String,
    /// What is wrong; never with a secret in it. None where nothing is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

impl Check {
    /// Of an attempt. The cause of a failure is for the operator, who is the only one to see it.
    pub fn of<T>(name: impl Into<String>, outcome: Result<T, Failure>) -> Self {
        let problem = outcome.err().map(|failure| failure.cause().unwrap_or(failure.code().as_str()).to_owned());
        Self { name: name.into(), problem }
    }
}

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// Whether to count what waits, which costs: for the operator alone.
    pub counts: bool,
}

/// A function's state.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// What it depends on.
    pub checks: Vec<Check>,
    /// How many records wait, by queue.
    pub waiting: BTreeMap<String, i64>,
}

/// A homeserver or provider that takes longer is as good as down to whoever signs in.
const PATIENCE_MS: u32 = 3_000;

/// Whether an address answers 200.
pub async fn answers<P: Platform>(call: &Call<P>, trust: Trust, url: String) -> Result<(), Failure> {
    let mut request = OutboundRequest::get(url);
    request.timeout_ms = PATIENCE_MS;
    let response = call.platform.http().send(trust, call.outbound(request)).await?;
    match response.status {
        200 => Ok(()),
        status => Err(Failure::unavailable(format!("answers {status}"))),
    }
}
