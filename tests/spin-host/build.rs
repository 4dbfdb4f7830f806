//! Takes the interface files of Spin's host from the `spin-sdk` package that `Cargo.lock` pins, and writes the module that
//! binds them. The files are not copied into the repository.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// The world this host offers, beside WASI's own interfaces.
const WORLD: &str = "package tmcp:spin-host;

world imports {
    import fermyon:spin/key-value@2.0.0;
    import fermyon:spin/variables@2.0.0;
    import spin:sqlite/sqlite@3.0.0;
}
";

fn main() -> Result<(), Box<dyn Error>> {
    let sdk = spin_sdk_folder()?.join("wit/deps");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let wit = out.join("wit");
    let fermyon = wit.join("deps/fermyon-spin");
    let sqlite = wit.join("deps/spin-sqlite");
    fs::create_dir_all(&fermyon)?;
    fs::create_dir_all(&sqlite)?;

    fs::write(wit.join("host.wit"), WORLD)?;
    fs::write(fermyon.join("package.wit"), "package fermyon:spin@2.0.0;\n")?;
    for name in ["key-value.wit", "variables.wit"] {
        copy(&sdk.join("spin@2.0.0").join(name), &fermyon.join(name))?;
    }
    copy(&sdk.join("spin-sqlite@3.0.0/sqlite.wit"), &sqlite.join("sqlite.wit"))?;

    // `bindgen!` takes its path as a literal only, so the call itself is generated.
    let bindings = format!(
        r#"wasmtime::component::bindgen!({{
    path: {wit:?},
    world: "tmcp:spin-host/imports",
    imports: {{ default: async | trappable }},
    with: {{
        "fermyon:spin/key-value@2.0.0.store": crate::host::kv::Store,
        "spin:sqlite/sqlite@3.0.0.connection": crate::host::sqlite::Connection,
    }},
}});
"#
    );
    fs::write(out.join("bindings.rs"), bindings)?;
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<(), Box<dyn Error>> {
    fs::copy(from, to).map_err(|e| format!("failed to copy {}: {e}", from.display()))?;
    Ok(())
}

/// The folder of the `spin-sdk` package. It is no dependency of this crate (it would be compiled for the host in vain): the
/// functions depend on it for wasm, so cargo is asked where it lies, and fetches it if it does not lie there yet.
fn spin_sdk_folder() -> Result<PathBuf, Box<dyn Error>> {
    let manifest = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("Cargo.toml");
    let output = Command::new(env::var("CARGO")?)
        .args(["metadata", "--format-version=1", "--locked", "--filter-platform=wasm32-wasip2", "--manifest-path"])
        .arg(manifest)
        .output()?;
    if !output.status.success() {
        return Err(format!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    if let Some(root) = metadata.get("workspace_root").and_then(|root| root.as_str()) {
        println!("cargo:rerun-if-changed={root}/Cargo.lock");
    }
    println!("cargo:rerun-if-changed=build.rs");
    metadata
        .get("packages")
        .and_then(|packages| packages.as_array())
        .into_iter()
        .flatten()
        .find(|package| package.get("name").is_some_and(|name| name == "spin-sdk"))
        .and_then(|package| package.get("manifest_path")?.as_str())
        .and_then(|path| Some(Path::new(path).parent()?.to_path_buf()))
        .ok_or_else(|| "no package of this workspace depends on spin-sdk".into())
}
