//! The memory of the server's processes, and whether it is flat.
//!
//! A life is the time between two starts. Its first half minute is warm-up. A life of less than two minutes tells nothing.

use std::collections::BTreeMap;
use std::fs;

/// Warm-up, in seconds.
const WARM_UP_S: u64 = 30;
/// The shortest life that is judged, warm-up included.
const LEAST_S: u64 = 120;
/// What a life may grow by from its first third to its last: for caches and heaps that are still finding their size.
const SLACK_KB: u64 = 24 * 1024;

/// One look: resident kilobytes by the name of the program.
pub type Sample = BTreeMap<String, u64>;

/// Every sample of a run, by life.
#[derive(Default)]
pub struct Memory {
    lives: Vec<Vec<(u64, Sample)>>,
}

/// What the processes of a group use now.
pub fn sample(group: i32) -> Sample {
    let mut sample = Sample::new();
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    for process in processes.filter(|entry| entry.file_name().to_string_lossy().bytes().all(|b| b.is_ascii_digit())) {
        let read = |name: &str| fs::read_to_string(process.path().join(name)).unwrap_or_default();
        // "id (name) state parent group …", where the name may hold anything.
        let stat = read("stat");
        let Some((head, tail)) = stat.rsplit_once(") ") else { continue };
        if tail.split(' ').nth(2).and_then(|id| id.parse::<i32>().ok()) != Some(group) {
            continue;
        }
        let name = head.split_once('(').map(|(_, name)| name.to_owned()).unwrap_or_default();
        let status = read("status");
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = resident.and_then(|text| text.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0);
        *sample.entry(name).or_default() += kilobytes;
    }
    sample
}

fn median(mut values: Vec<u64>) -> u64 {
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or(0)
}

/// The two thirds that are compared: the median of the first and of the last.
fn ends(samples: &[(u64, Sample)], name: &str) -> Option<(u64, u64)> {
    let began = samples.first()?.0;
    if samples.last()?.0 - began < LEAST_S {
        return None;
    }
    let warm: Vec<u64> = samples
        .iter()
        .filter(|(at, _)| *at >= began + WARM_UP_S)
        .map(|(_, sample)| sample.get(name).copied().unwrap_or(0))
        .collect();
    let third = (warm.len() / 3).max(1);
    let (first, last) = (warm.get(..third)?, warm.get(warm.len() - third..)?);
    Some((median(first.to_vec()), median(last.to_vec())))
}

/// Whether a growth is too much: beyond the slack, and beyond a fifth.
fn is_too_much(first: u64, last: u64) -> bool {
    last > first + SLACK_KB && last > first + first / 5
}

impl Memory {
    /// A new life begins.
    pub fn begin(&mut self) {
        self.lives.push(Vec::new());
    }

    /// Adds a sample at a second of the run.
    pub fn add(&mut self, at: u64, sample: Sample) {
        if let (Some(life), false) = (self.lives.last_mut(), sample.is_empty()) {
            life.push((at, sample));
        }
    }

    /// Lines for the summary, and what grew. wrangler's own `node` processes are shown and not judged.
    pub fn judge(&self) -> (Vec<String>, Vec<String>) {
        let (mut lines, mut wrong) = (Vec::new(), Vec::new());
        let longest = self.lives.iter().max_by_key(|life| life.len());
        let Some(life) = longest.filter(|life| !life.is_empty()) else { return (lines, wrong) };
        let seconds = life.last().map(|(at, _)| *at).unwrap_or(0) - life.first().map(|(at, _)| *at).unwrap_or(0);
        let names: std::collections::BTreeSet<&String> = life.iter().flat_map(|(_, sample)| sample.keys()).collect();
        for name in names {
            let peak = life.iter().filter_map(|(_, sample)| sample.get(name)).max().copied().unwrap_or(0);
            let Some((first, last)) = ends(life, name) else {
                lines.push(format!("{name}: peak {} MB; the longest life of {seconds} s is too short to judge", peak / 1024));
                continue;
            };
            lines.push(format!(
                "{name}: {} MB → {} MB in a life of {seconds} s (peak {})",
                first / 1024,
                last / 1024,
                peak / 1024
            ));
            let judged = !matches!(name.as_str(), "node" | "MainThread" | "esbuild" | "sh");
            if judged && is_too_much(first, last) {
                wrong.push(format!("the memory of {name} grew from {} MB to {} MB in {seconds} s", first / 1024, last / 1024));
            }
        }
        (lines, wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn life(megabytes: impl Fn(u64) -> u64) -> Memory {
        let mut memory = Memory::default();
        memory.begin();
        for at in (0..300).step_by(2) {
            memory.add(at, Sample::from([("server".to_owned(), megabytes(at) * 1024)]));
        }
        memory
    }

    #[test]
    fn a_leak_is_seen_and_a_warm_up_is_not() {
        assert!(life(|at| 50 + at.min(30) * 3).judge().1.is_empty(), "a warm-up is no leak");
        assert!(life(|at| 100 + at % 20).judge().1.is_empty(), "a sawtooth is no leak");
        assert_eq!(life(|at| 100 + at / 3).judge().1.len(), 1, "20 MB a minute is one");
    }

    #[test]
    fn this_process_has_memory() {
        let group = rustix::process::getpgrp().as_raw_nonzero().get();
        assert!(sample(group).values().sum::<u64>() > 1000);
    }
}
