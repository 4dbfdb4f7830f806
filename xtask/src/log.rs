//! Reading what programs left in their logs.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// What a failed program's log says most clearly, in one line.
pub fn first_error(log: &Path) -> String {
    main_line(&strip_escapes(&String::from_utf8_lossy(&fs::read(log).unwrap_or_default())))
}

/// The last lines of a log that say something, without colours.
pub fn last_lines(log: &Path, count: usize) -> Vec<String> {
    let mut text = String::new();
    if let Ok(mut file) = File::open(log) {
        let length = file.metadata().map(|data| data.len()).unwrap_or_default();
        let _ = file.seek(SeekFrom::Start(length.saturating_sub(4096)));
        let mut bytes = Vec::new();
        let _ = file.read_to_end(&mut bytes);
        text = strip_escapes(&String::from_utf8_lossy(&bytes));
    }
    let lines: Vec<_> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let skip = lines.len().saturating_sub(count);
    lines.into_iter().skip(skip).map(str::to_owned).collect()
}

/// The line of a failed program's output that says most: the first error, with its place if one follows.
fn main_line(text: &str) -> String {
    if let Some(failed) = failed_tests(text) {
        return failed;
    }
    let mut lines = text.lines().map(str::trim);
    let is_error = |line: &str| {
        let line = line.to_lowercase();
        // wrangler counts the errors before it names them.
        !line.starts_with("✘ [error] build failed with")
            && ["error:", "error[", "npm error", "✘ [error]"].iter().any(|start| line.starts_with(start))
    };
    let Some(error) = lines.find(|line| is_error(line)) else {
        let last = text.lines().rev().map(str::trim).find(|line| !line.is_empty());
        return last.unwrap_or("it failed and said nothing").to_owned();
    };
    match lines.next().and_then(|line| line.strip_prefix("--> ")) {
        Some(place) => format!("{error} at {place}"),
        None => error.to_owned(),
    }
}

/// The names of failed tests, if this is the output of a test run that has some.
fn failed_tests(text: &str) -> Option<String> {
    let name = |line: &str| {
        let result = line.trim().strip_prefix("test ")?.strip_suffix("FAILED")?;
        Some(result.trim_end_matches([' ', '.']).to_owned())
    };
    let names: Vec<_> = text.lines().filter_map(name).collect();
    match names.len() {
        0 => None,
        1 => Some(format!("test {} failed", names.concat())),
        count => Some(format!("{count} tests failed: {}", names.join(", "))),
    }
}

/// Text without terminal colours.
fn strip_escapes(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' {
            for c in chars.by_ref() {
                if c.is_ascii_alphabetic() {
                    break;
                }
            }
        } else {
            plain.push(c);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_error_is_named_with_its_place() {
        let cases = [
            (
                "Compiling x\nerror[E0308]: mismatched types\n  --> src/a.rs:1:2\n",
                "error[E0308]: mismatched types at src/a.rs:1:2",
            ),
            ("warning: w\nerror: no such command\n", "error: no such command"),
            ("npm warn x\nnpm error code E404\n", "npm error code E404"),
            ("test a::b ... FAILED\ntest c ... ok\nerror: test failed\n", "test a::b failed"),
            ("test a ... FAILED\ntest b ... FAILED\n", "2 tests failed: a, b"),
            ("something\nKilled\n\n", "Killed"),
            ("", "it failed and said nothing"),
        ];
        for (text, expected) in cases {
            assert_eq!(main_line(text), expected);
        }
    }

    #[test]
    fn colours_are_taken_out() {
        assert_eq!(strip_escapes("\u{1b}[31m✘ \u{1b}[0mred"), "✘ red");
    }
}
