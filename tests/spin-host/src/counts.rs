//! What the components asked of the host, for the benchmark: told at a path of its own when `--counts` is given, and then begun anew.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Map, Value};

/// Where the counts are told.
pub const PATH: &str = "/.well-known/spin-host/counts";

macro_rules! counts {
    ($($(#[$doc:meta])* $variant:ident = $name:literal;)*) => {
        /// Something that is counted.
        #[derive(Debug, Clone, Copy)]
        pub enum Count { $($(#[$doc])* $variant,)* }

        const NAMES: &[&str] = &[$($name,)*];
    };
}

counts! {
    /// Requests to instances, from outside and from other components.
    Requests = "requests";
    /// Requests that one component sent to another.
    Chained = "service_calls";
    /// Connections to a database.
    SqlOpens = "sql_opens";
    /// Statements.
    SqlStatements = "d1_statements";
    /// Calls with a statement.
    SqlCalls = "d1_calls";
    /// Values read or looked for.
    KvReads = "kv_reads";
    /// Values written.
    KvWrites = "kv_writes";
    /// Values deleted.
    KvDeletes = "kv_deletes";
    /// Microseconds of instantiating.
    InstantiateMicros = "instantiate_us";
}

static COUNTS: [AtomicU64; NAMES.len()] = [const { AtomicU64::new(0) }; NAMES.len()];

/// Counts one.
pub fn one(count: Count) {
    add(count, 1);
}

/// Counts time.
pub fn time(count: Count, took: Duration) {
    add(count, u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
}

fn add(count: Count, by: u64) {
    if let Some(counter) = COUNTS.get(count as usize) {
        counter.fetch_add(by, Ordering::Relaxed);
    }
}

/// All counts since the last time, as JSON.
pub fn take() -> String {
    let pairs =
        NAMES.iter().zip(&COUNTS).map(|(name, count)| ((*name).to_owned(), Value::from(count.swap(0, Ordering::Relaxed))));
    Value::Object(pairs.collect::<Map<_, _>>()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_told_once() {
        one(Count::KvDeletes);
        time(Count::InstantiateMicros, Duration::from_micros(7));
        let told: Value = serde_json::from_str(&take()).unwrap();
        assert_eq!(told["kv_deletes"], 1);
        assert_eq!(told["instantiate_us"], 7);
        let told: Value = serde_json::from_str(&take()).unwrap();
        assert_eq!(told["kv_deletes"], 0);
    }
}
