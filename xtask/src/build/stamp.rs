//! Whether a Worker's build output is what its sources would give: a digest of everything that goes into it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::functions::Function;
use crate::paths::Paths;
use crate::tools::cargo_tools::{WASM_BINDGEN, WORKER_BUILD};

/// A digest over the workspace's manifests, the shared crates, the function itself and the tools' versions.
pub fn of(paths: &Paths, function: &Function) -> Result<String> {
    let mut files: Vec<PathBuf> =
        ["Cargo.toml", "Cargo.lock", ".cargo/config.toml", "rust-toolchain.toml", "xtask/npm/package-lock.json"]
            .iter()
            .map(|name| paths.root.join(name))
            .collect();
    for folder in ["shared", "migrations", function.dir] {
        collect(&paths.root.join(folder), &mut files)?;
    }
    files.sort();
    let mut hash = Sha256::new();
    hash.update(format!("{} {}\n", WORKER_BUILD.version, WASM_BINDGEN.version));
    for file in files.iter().filter(|file| file.is_file()) {
        let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        hash.update(file.strip_prefix(&paths.root).unwrap_or(file).to_string_lossy().as_bytes());
        hash.update([0]);
        hash.update(bytes.len().to_le_bytes());
        hash.update(bytes);
    }
    Ok(format!("{:x}", hash.finalize()))
}

/// Adds the files of a source folder; build output and dependencies are no sources.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let Ok(entries) = fs::read_dir(folder) else { return Ok(()) };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with('.') || ["build", "target", "node_modules"].contains(&name.as_ref()) {
            continue;
        }
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), files)?;
        } else {
            files.push(entry.path());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions::FUNCTIONS;

    #[test]
    fn it_follows_sources_and_nothing_else() {
        let root = std::env::temp_dir().join(format!("xtask-stamp-{}", std::process::id()));
        let paths = Paths { root: root.clone(), cache: root.join("c"), cargo_target: root.join("t") };
        let function = FUNCTIONS.iter().find(|function| function.name == "auth").unwrap();
        let write = |name: &str, text: &str| {
            let path = root.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("functions/auth/src/lib.rs", "a");
        write("shared/http/src/lib.rs", "b");
        let first = of(&paths, function).unwrap();
        write("functions/auth/build/index.js", "output");
        write("functions/storage/src/lib.rs", "another function");
        assert_eq!(of(&paths, function).unwrap(), first);
        write("shared/http/src/lib.rs", "changed");
        assert_ne!(of(&paths, function).unwrap(), first);
        fs::remove_dir_all(root).unwrap();
    }
}
