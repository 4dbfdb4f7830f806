//! The memory of the server's processes and of its isolates, and whether it is flat.
//!
//! A life is the time between two starts. Its first half minute is warm-up, and a life of less than two minutes tells nothing; of workerd,
//! with its allocator's, Miniflare's and SQLite's caches, that is four minutes and eight.

use crate::isolates::Kept;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

/// Warm-up, and the shortest life that is judged, warm-up included; in seconds.
const PATIENCE_S: (u64, u64) = (30, 120);
/// The same of workerd as a process.
const PATIENCE_WITH_WORKERD_S: (u64, u64) = (240, 480);
/// What a process may grow by from the first third of its life to the last: for caches and heaps that are still finding their size.
const SLACK_KB: u64 = 24 * 1024;
/// What an isolate may grow by.
const ISOLATE_SLACK_KB: u64 = 4 * 1024;
/// What an isolate may keep: Cloudflare ends one that has more.
const ISOLATE_MOST_KB: u64 = 128 * 1024;
/// What an isolate's name begins with.
const ISOLATE: &str = "isolate of ";
/// Isolates that the load wakes all the time: they are in every other look at least, or nothing was judged.
const AWAKE: [&str; 4] = ["gateway", "auth", "storage", "subjects"];

/// One look: kilobytes by the name of the program, which are resident, or of the isolate, which are kept.
pub type Sample = BTreeMap<String, u64>;

/// Every sample of a run, by life.
#[derive(Default)]
pub struct Memory {
    lives: Vec<Vec<(u64, Sample)>>,
}

/// A process of a group.
pub struct Process {
    /// Its id.
    pub id: i32,
    /// The name of its program.
    pub name: String,
    /// Its resident kilobytes.
    pub kilobytes: u64,
}

/// The processes of a group.
pub fn processes(group: i32) -> Vec<Process> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let of_group = |id: i32| {
        let read = |name: &str| fs::read_to_string(format!("/proc/{id}/{name}")).unwrap_or_default();
        // "id (name) state parent group …", where the name may hold anything.
        let stat = read("stat");
        let (head, tail) = stat.rsplit_once(") ")?;
        if tail.split(' ').nth(2)?.parse() != Ok(group) {
            return None;
        }
        let name = head.split_once('(')?.1.to_owned();
        let status = read("status");
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = resident.and_then(|text| text.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0);
        Some(Process { id, name, kilobytes })
    };
    processes.filter_map(|entry| of_group(entry.file_name().to_str()?.parse().ok()?)).collect()
}

/// What processes and isolates use. Beside the workerd that is `ours` wrangler has another, in front of it.
pub fn sample(processes: &[Process], ours: Option<i32>, isolates: Kept) -> Sample {
    let mut sample: Sample = isolates.into_iter().map(|(name, kilobytes)| (format!("{ISOLATE}{name}"), kilobytes)).collect();
    for process in processes {
        let is_proxy = process.name == "workerd" && ours.is_some_and(|ours| ours != process.id);
        let name = if is_proxy { "wrangler's workerd" } else { &process.name };
        *sample.entry(name.to_owned()).or_default() += process.kilobytes;
    }
    sample
}

/// What the processes of a sample use together.
pub fn resident(sample: &Sample) -> u64 {
    sample.iter().filter(|(name, _)| !name.starts_with(ISOLATE)).map(|(_, kilobytes)| kilobytes).sum()
}

fn median(mut values: Vec<u64>) -> u64 {
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or(0)
}

/// The two thirds that are compared: the median of the first and of the last.
fn ends(samples: &[(u64, Sample)], name: &str) -> Option<(u64, u64)> {
    let began = samples.first()?.0;
    let (warm_up, least) = if name == "workerd" { PATIENCE_WITH_WORKERD_S } else { PATIENCE_S };
    if samples.last()?.0 - began < least {
        return None;
    }
    let warm = samples.iter().filter(|(at, _)| *at >= began + warm_up);
    let warm: Vec<u64> = warm.filter_map(|(_, sample)| sample.get(name).copied()).collect();
    let third = (warm.len() / 3).max(1);
    let (first, last) = (warm.get(..third)?, warm.get(warm.len().checked_sub(third)?..)?);
    Some((median(first.to_vec()), median(last.to_vec())))
}

/// Whether a growth is too much: beyond the slack, and beyond a fifth.
fn is_too_much(slack: u64, first: u64, last: u64) -> bool {
    last > first + slack && last > first + first / 5
}

/// wrangler's own, which are shown and not judged.
fn is_ours(name: &str) -> bool {
    !matches!(name, "node" | "MainThread" | "esbuild" | "sh" | "wrangler's workerd")
}

/// Megabytes of kilobytes, for people.
fn megabytes(kilobytes: u64) -> String {
    let tenths = kilobytes * 10 / 1024;
    if tenths < 100 { format!("{}.{} MB", tenths / 10, tenths % 10) } else { format!("{} MB", tenths / 10) }
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

    /// Lines for the summary, and what is wrong: what grew, and what was not to be seen.
    pub fn judge(&self, on_workers: bool) -> (Vec<String>, Vec<String>) {
        let (mut lines, mut wrong) = (Vec::new(), Vec::new());
        let length = |life: &[(u64, Sample)]| life.last().map_or(0, |(at, _)| *at) - life.first().map_or(0, |(at, _)| *at);
        let longest = self.lives.iter().filter(|life| !life.is_empty()).max_by_key(|life| length(life));
        let Some(life) = longest else { return (lines, vec!["nothing was seen of the server's memory".to_owned()]) };
        let (seconds, looks) = (length(life), life.len());
        let names: BTreeSet<&String> = life.iter().flat_map(|(_, sample)| sample.keys()).collect();
        for name in names {
            let is_isolate = name.starts_with(ISOLATE);
            let peak = self.lives.iter().flatten().filter_map(|(_, sample)| sample.get(name)).max().copied().unwrap_or(0);
            if is_isolate && peak > ISOLATE_MOST_KB {
                wrong.push(format!("the {name} kept {}: Cloudflare allows {}", megabytes(peak), megabytes(ISOLATE_MOST_KB)));
            }
            let Some((first, last)) = ends(life, name) else {
                lines.push(format!("{name}: peak {}; the longest life of {seconds} s is too short to judge", megabytes(peak)));
                continue;
            };
            let grew = format!("{} → {} in a life of {seconds} s", megabytes(first), megabytes(last));
            let seen = life.iter().filter(|(_, sample)| sample.contains_key(name)).count();
            let seen = if seen < looks { format!(", in {seen} of {looks} looks") } else { String::new() };
            lines.push(format!("{name}: {grew} (peak {}{seen})", megabytes(peak)));
            if is_ours(name) && is_too_much(if is_isolate { ISOLATE_SLACK_KB } else { SLACK_KB }, first, last) {
                wrong.push(format!("the memory of {name} grew: {grew}"));
            }
        }
        for name in AWAKE.iter().filter(|_| on_workers) {
            let seen = life.iter().filter(|(_, sample)| sample.contains_key(&format!("{ISOLATE}{name}"))).count();
            if 2 * seen < looks {
                wrong.push(format!("the {ISOLATE}{name} told what it keeps in {seen} of {looks} looks only"));
            }
        }
        (lines, wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn life(name: &str, megabytes: impl Fn(u64) -> u64) -> Memory {
        let mut memory = Memory::default();
        memory.begin();
        for at in (0..300).step_by(2) {
            memory.add(at, Sample::from([(name.to_owned(), megabytes(at) * 1024)]));
        }
        memory
    }

    #[test]
    fn a_leak_is_seen_and_a_warm_up_is_not() {
        assert!(life("server", |at| 50 + at.min(30) * 3).judge(false).1.is_empty(), "a warm-up is no leak");
        assert!(life("server", |at| 100 + at % 20).judge(false).1.is_empty(), "a sawtooth is no leak");
        assert_eq!(life("server", |at| 100 + at / 3).judge(false).1.len(), 1, "20 MB a minute is one");
        assert!(life("node", |at| 100 + at / 3).judge(false).1.is_empty(), "it is not ours");
        assert!(life("workerd", |at| 100 + at / 3).judge(false).1.is_empty(), "five minutes are not enough");
    }

    #[test]
    fn an_isolate_is_judged_more_closely() {
        assert_eq!(life("isolate of auth", |at| 3 + at / 20).judge(false).1.len(), 1, "3 MB a minute");
        assert!(life("isolate of auth", |at| 3 + at % 2).judge(false).1.is_empty());
        assert_eq!(life("isolate of auth", |_| 129).judge(false).1.len(), 1, "Cloudflare would have ended it");
    }

    #[test]
    fn an_isolate_may_miss_a_look_and_not_all() {
        let mut memory = Memory::default();
        assert_eq!(memory.judge(true).1, ["nothing was seen of the server's memory"]);
        memory.begin();
        for at in (0..300).step_by(10) {
            let awake = AWAKE.iter().filter(|name| **name != "auth" || at % 20 == 0);
            memory.add(at, awake.map(|name| (format!("{ISOLATE}{name}"), 3 * 1024)).collect());
        }
        assert!(memory.judge(true).1.is_empty());
        memory.add(310, Sample::from([("workerd".to_owned(), 1024)]));
        assert_eq!(memory.judge(true).1, ["the isolate of auth told what it keeps in 15 of 31 looks only"]);
    }

    #[test]
    fn this_process_has_memory() {
        let group = rustix::process::getpgrp().as_raw_nonzero().get();
        let own = i32::try_from(std::process::id()).unwrap();
        let found = processes(group);
        assert!(found.iter().any(|process| process.id == own && process.kilobytes > 1000));
        assert!(resident(&sample(&found, None, Kept::from([("auth".to_owned(), 1 << 30)]))) < 1 << 30);
    }
}
