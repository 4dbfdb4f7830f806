//! `cargo xtask size`: how large each module is, as it is and compressed.

use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::build;
use crate::functions::FUNCTIONS;
use crate::paths::Paths;

/// Prints a line per function and runtime; a module that was not built is named as such.
pub fn run(paths: &Paths) -> Result<()> {
    println!("{:<10} {:<8} {:>9} {:>9}", "function", "runtime", "raw", "gzip");
    for function in FUNCTIONS {
        line(function.name, "workers", &build::workers_module(paths, function))?;
        if function.on_spin {
            line(function.name, "spin", &paths.spin_module(function.name))?;
        }
    }
    Ok(())
}

fn line(name: &str, runtime: &str, module: &Path) -> Result<()> {
    let Ok(bytes) = fs::read(module) else {
        println!("{name:<10} {runtime:<8} not built");
        return Ok(());
    };
    let packed = gzipped(&bytes).context("cannot compress")?;
    println!("{name:<10} {runtime:<8} {:>5} KiB {:>5} KiB", kib(bytes.len()), kib(packed));
    Ok(())
}

fn gzipped(bytes: &[u8]) -> std::io::Result<usize> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?.len())
}

/// Whole KiB, rounded up.
fn kib(bytes: usize) -> usize {
    bytes.div_ceil(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_rounded_up() {
        assert_eq!(kib(0), 0);
        assert_eq!(kib(1), 1);
        assert_eq!(kib(2049), 3);
        assert!(gzipped(&[0; 100_000]).unwrap() < 1000);
    }
}
