//! Every secret that the tests were given or made up, kept for the test that greps the logs.

use crate::up::Up;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::sync::OnceLock;

/// What stored values begin with where a test wants to find them again.
pub const MARKER: &str = "s3cr3t-value-";

fn file() -> &'static PathBuf {
    static FILE: OnceLock<PathBuf> = OnceLock::new();
    FILE.get_or_init(|| Up::read().data_dir.join("issued-secrets.txt"))
}

/// Writes a secret down. One write per line, so that test processes can share the file.
pub fn remember(secret: &str) {
    let opened = OpenOptions::new().create(true).append(true).open(file());
    opened.and_then(|mut file| file.write_all(format!("{secret}\n").as_bytes())).expect("the list of secrets cannot be written");
}

/// Every secret so far.
pub fn issued() -> Vec<String> {
    let text = fs::read_to_string(file()).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}
