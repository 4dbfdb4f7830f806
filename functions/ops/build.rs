//! Takes the white space out of `openapi.json`, which people read: it would be a hundred kilobytes of memory more.
#![allow(clippy::disallowed_methods, reason = "cargo speaks by environment variables")]

use std::env;
use std::error::Error;
use std::fs;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let file = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../../openapi.json");
    println!("cargo::rerun-if-changed={}", file.display());
    let document: serde_json::Value = serde_json::from_str(&fs::read_to_string(file)?)?;
    fs::write(Path::new(&env::var("OUT_DIR")?).join("openapi.json"), document.to_string())?;
    Ok(())
}
