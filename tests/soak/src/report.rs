//! What happened: requests by kind and status, faults, and everything that is wrong.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Findings that are kept with their text; more are only counted.
const KEPT: usize = 60;

/// Shared by all tasks.
pub struct Report {
    began: Instant,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    requests: BTreeMap<&'static str, BTreeMap<String, u64>>,
    faults: BTreeMap<&'static str, u64>,
    checks: BTreeMap<&'static str, u64>,
    findings: Vec<String>,
    more: u64,
}

impl Report {
    /// Nothing yet.
    pub fn new() -> Self {
        Self { began: Instant::now(), inner: Mutex::default() }
    }

    fn inner(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The second of the run.
    pub fn second(&self) -> u64 {
        self.began.elapsed().as_secs()
    }

    /// A line of progress.
    pub fn say(&self, text: &str) {
        eprintln!("[{:>4}s] {text}", self.second());
    }

    /// A request and how it ended: its status, or why there is none.
    pub fn request(&self, kind: &'static str, end: &str) {
        *self.inner().requests.entry(kind).or_default().entry(end.to_owned()).or_default() += 1;
    }

    /// A fault that was injected.
    pub fn fault(&self, kind: &'static str) {
        *self.inner().faults.entry(kind).or_default() += 1;
    }

    /// Things that were checked and found right.
    pub fn checked(&self, what: &'static str, count: u64) {
        *self.inner().checks.entry(what).or_default() += count;
    }

    /// Something that is wrong.
    pub fn wrong(&self, text: String) {
        let mut inner = self.inner();
        if inner.findings.len() < KEPT {
            eprintln!("[{:>4}s] WRONG {text}", self.second());
            inner.findings.push(text);
        } else {
            inner.more += 1;
        }
    }

    /// Requests so far.
    pub fn total(&self) -> u64 {
        self.inner().requests.values().flat_map(BTreeMap::values).sum()
    }

    /// How many of what is wrong.
    pub fn findings(&self) -> u64 {
        let inner = self.inner();
        inner.findings.len() as u64 + inner.more
    }

    /// The summary for standard output.
    pub fn summary(&self) -> String {
        let inner = self.inner();
        let mut lines = vec!["requests by kind and end:".to_owned()];
        let list = |counts: &BTreeMap<String, u64>| {
            counts.iter().map(|(end, count)| format!("{end}: {count}")).collect::<Vec<_>>().join("  ")
        };
        lines.extend(inner.requests.iter().map(|(kind, ends)| format!("  {kind:<18}{}", list(ends))));
        lines.push("faults:".to_owned());
        lines.extend(inner.faults.iter().map(|(kind, count)| format!("  {kind:<34}{count}")));
        lines.push("checked and right:".to_owned());
        lines.extend(inner.checks.iter().map(|(what, count)| format!("  {what:<48}{count}")));
        if !inner.findings.is_empty() {
            lines.push(format!("WRONG ({}):", inner.findings.len() as u64 + inner.more));
            lines.extend(inner.findings.iter().map(|text| format!("  - {text}")));
            if inner.more > 0 {
                lines.push(format!("  … and {} more", inner.more));
            }
        }
        lines.join("\n")
    }
}
