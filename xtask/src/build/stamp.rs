//! Whether a Worker's bundle is what its compiled module would give: a digest of everything that goes into it.
//!
//! Cargo decides whether a module must be compiled again; what follows it (wasm-bindgen, half a minute of wasm-opt, esbuild)
//! is skipped for a module that came out as before.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::build::{names, workers};
use crate::functions::Function;
use crate::paths::Paths;
use crate::tools::cargo_tools::{WASM_BINDGEN, WORKER_BUILD};
use crate::tools::rust::WORKERS_TARGET;

/// A digest over the compiled module, the function's manifest (it may configure wasm-opt), its entry, the tools' versions and whether
/// names stay.
pub fn of(paths: &Paths, function: &Function) -> Result<String> {
    let mut hash = Sha256::new();
    hash.update(format!("{} {}\n", WORKER_BUILD.version, WASM_BINDGEN.version));
    if names::stay() {
        hash.update("with names\n");
    }
    let manifest = paths.root.join(function.dir).join("Cargo.toml");
    let entry = workers::entry(paths, function);
    if entry.is_some() {
        hash.update(workers::WRAPPING.join(" "));
    }
    let files = [paths.root.join("xtask/npm/package-lock.json"), manifest, compiled(paths, function)];
    for file in files.into_iter().chain(entry.into_iter().flatten()) {
        let bytes = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        hash.update(bytes.len().to_le_bytes());
        hash.update(bytes);
    }
    Ok(format!("{:x}", hash.finalize()))
}

/// What cargo made of a function.
fn compiled(paths: &Paths, function: &Function) -> PathBuf {
    let name = function.package.replace('-', "_");
    paths.cargo_target.join(WORKERS_TARGET).join("release").join(name).with_extension("wasm")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions::FUNCTIONS;

    #[test]
    fn it_follows_the_compiled_module_and_the_manifest() {
        let root = std::env::temp_dir().join(format!("xtask-stamp-{}", std::process::id()));
        let paths = Paths { root: root.clone(), cache: root.join("c"), cargo_target: root.join("t") };
        let function = FUNCTIONS.iter().find(|function| function.name == "auth").unwrap();
        let write = |name: &str, text: &str| {
            let path = root.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("xtask/npm/package-lock.json", "{}");
        write("functions/auth/Cargo.toml", "[package]");
        assert!(of(&paths, function).is_err());
        write("t/wasm32-unknown-unknown/release/tmcp_auth.wasm", "module");
        let first = of(&paths, function).unwrap();
        write("functions/auth/src/lib.rs", "// a comment");
        assert_eq!(of(&paths, function).unwrap(), first);
        write("t/wasm32-unknown-unknown/release/tmcp_auth.wasm", "another module");
        let second = of(&paths, function).unwrap();
        assert_ne!(second, first);
        write("functions/auth/entry.js", "export {}");
        write("shared/workers/src/entry.js", "export {}");
        write("shared/workers/src/object.js", "export {}");
        let third = of(&paths, function).unwrap();
        assert_ne!(third, second);
        for imported in ["entry", "object"] {
            let before = of(&paths, function).unwrap();
            write(&format!("shared/workers/src/{imported}.js"), "export default 1");
            assert_ne!(of(&paths, function).unwrap(), before);
        }
        fs::remove_dir_all(root).unwrap();
    }
}
