//! CPU and memory of a process with all its descendants, from `/proc`.

use std::collections::HashMap;
use std::fs;

/// What a process tree has used so far, and holds now.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Usage {
    /// User and system time in seconds, of living processes.
    pub cpu_s: f64,
    /// Resident memory in bytes.
    pub rss: u64,
    /// How many processes.
    pub processes: usize,
}

/// The fields of `/proc/<pid>/stat` that matter here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stat {
    parent: u32,
    ticks: u64,
    pages: u64,
}

/// Of a process and its descendants; zero where it does not live.
pub fn tree(root: u32) -> Usage {
    let all: HashMap<u32, Stat> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|pid| Some((pid, stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?)))
        .collect();
    sum(&all, root)
}

/// Of this process alone.
pub fn own_cpu_s() -> f64 {
    let text = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    stat(&text).map_or(0.0, |stat| seconds(stat.ticks))
}

fn sum(all: &HashMap<u32, Stat>, root: u32) -> Usage {
    let page = u64::try_from(rustix::param::page_size()).unwrap_or(4096);
    let mut usage = Usage::default();
    for (pid, stat) in all {
        if descends(all, *pid, root) {
            usage.cpu_s += seconds(stat.ticks);
            usage.rss += stat.pages * page;
            usage.processes += 1;
        }
    }
    usage
}

fn descends(all: &HashMap<u32, Stat>, pid: u32, root: u32) -> bool {
    let mut at = pid;
    // Bounded: ids that are used again while we read could make a circle.
    for _ in 0..64 {
        if at == root {
            return true;
        }
        match all.get(&at) {
            Some(stat) if stat.parent != 0 => at = stat.parent,
            _ => return false,
        }
    }
    false
}

fn seconds(ticks: u64) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "centuries of ticks fit")]
    let (ticks, per_second) = (ticks as f64, rustix::param::clock_ticks_per_second() as f64);
    ticks / per_second
}

/// proc_pid_stat(5): the name may hold anything, so fields are counted from its last parenthesis.
fn stat(text: &str) -> Option<Stat> {
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let number = |n: usize| fields.get(n).and_then(|field| field.parse::<u64>().ok());
    Some(Stat { parent: u32::try_from(number(1)?).ok()?, ticks: number(11)? + number(12)?, pages: number(21)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_is_read_whatever_the_name() {
        let line = "42 (a) b (c) S 7 1 1 0 -1 4194560 1 0 0 0 15 5 0 0 20 0 1 0 100 200 300 18446744073709551615 1 1";
        assert_eq!(stat(line), Some(Stat { parent: 7, ticks: 20, pages: 300 }));
        assert_eq!(stat("nothing"), None);
    }

    #[test]
    fn children_count_and_others_do_not() {
        let stat = |parent| Stat { parent, ticks: 100, pages: 1 };
        let all = HashMap::from([(1, stat(0)), (5, stat(1)), (6, stat(5)), (7, stat(6)), (8, stat(1))]);
        assert_eq!(sum(&all, 5).processes, 3);
        assert_eq!(sum(&all, 9), Usage::default());
    }

    #[test]
    fn this_process_is_there() {
        let usage = tree(std::process::id());
        assert!(usage.rss > 100_000 && usage.processes >= 1);
    }
}
