//! The figures of a run, kept as JSON so that the report can be written again.

use serde::{Deserialize, Serialize};
use tmcp_protocol::Millis;

use crate::bench::Effort;
use crate::bench::counts::Counted;
use crate::bench::load::Measured;
use crate::bench::machine::{self, Machine};
use crate::paths::Paths;

/// Everything that a run found out.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Results {
    /// When it began, RFC 3339.
    pub date: String,
    /// The name of the report in `bench/`, if the run was whole and unhurried.
    pub publish: Option<String>,
    /// How long and how often.
    pub effort: Effort,
    /// On what.
    pub machine: Machine,
    /// Whether servers and load had a core each.
    pub pinned: bool,
    /// The file system that the servers' state lay on.
    #[serde(default)]
    pub disk: String,
    /// What runs Spin applications.
    pub spin: Option<String>,
    /// Whether that can count what components ask of it.
    #[serde(default)]
    pub spin_counts: bool,
    /// What was not there, one sentence each.
    pub missing: Vec<String>,
    /// The load generator against a server that does nothing.
    pub ceiling: Option<Measured>,
    /// Every measurement.
    pub samples: Vec<Sample>,
    /// What a request asks of the platform.
    pub counts: Vec<Counted>,
    /// Starts.
    pub starts: Vec<Start>,
    /// WebAssembly modules.
    pub modules: Vec<Module>,
    /// Gets and puts among many keys.
    pub growth: Vec<Grown>,
}

/// One target in one scenario in one round.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Sample {
    /// Counted from 0.
    pub round: usize,
    /// Scenario.
    pub scenario: String,
    /// Target.
    pub target: String,
    /// The figures.
    pub measured: Measured,
}

/// One start of a server.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Start {
    /// Target.
    pub target: String,
    /// From the process's start to its first good answer, in milliseconds.
    pub to_first_ms: f64,
    /// The first request itself.
    pub first_ms: f64,
    /// The second.
    pub second_ms: f64,
}

/// What a module costs before it serves.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Module {
    /// Function.
    pub name: String,
    /// Bytes.
    pub bytes: u64,
    /// Median of `WebAssembly.compile`, in milliseconds.
    pub compile_ms: f64,
    /// Median of instantiating it, in milliseconds.
    pub instantiate_ms: f64,
}

/// One round among so many stored keys.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Grown {
    /// Stored keys.
    pub keys: u64,
    /// `get` or `put`.
    pub operation: String,
    /// Counted from 0.
    pub round: usize,
    /// The figures.
    pub measured: Measured,
}

impl Results {
    /// None yet.
    pub fn begin(paths: &Paths, effort: Effort, publish: Option<&str>) -> Self {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Self {
            date: Millis(i64::try_from(now.as_millis()).unwrap_or(0)).rfc3339(),
            publish: publish.map(str::to_owned),
            effort,
            machine: Machine::look(paths),
            pinned: machine::has_pinning(),
            disk: machine::disk(&crate::bench::state_folder(paths)),
            spin: None,
            spin_counts: false,
            missing: Vec::new(),
            ceiling: None,
            samples: Vec::new(),
            counts: Vec::new(),
            starts: Vec::new(),
            modules: Vec::new(),
            growth: Vec::new(),
        }
    }

    /// The rounds of one target in one scenario, in order.
    pub fn of<'a>(&'a self, scenario: &'a str, target: &'a str) -> impl Iterator<Item = &'a Sample> {
        self.samples.iter().filter(move |sample| sample.scenario == scenario && sample.target == target)
    }
}

/// Smallest, median and largest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// Smallest.
    pub min: f64,
    /// Median.
    pub median: f64,
    /// Largest.
    pub max: f64,
}

impl Spread {
    /// Of some numbers; `None` of none.
    pub fn of(numbers: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut all: Vec<f64> = numbers.into_iter().collect();
        all.sort_by(f64::total_cmp);
        let (low, high) = (all.get(all.len().checked_sub(1)? / 2)?, all.get(all.len() / 2)?);
        Some(Self { min: *all.first()?, median: (low + high) / 2.0, max: *all.last()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(Spread::of([]), None);
        assert_eq!(Spread::of([3.0, 1.0, 2.0]).unwrap(), Spread { min: 1.0, median: 2.0, max: 3.0 });
        assert_eq!(Spread::of([4.0, 1.0, 2.0, 3.0]).unwrap().median, 2.5);
    }
}
