//! Compiling components, and a cache of compiled ones on disk: a restart then takes milliseconds.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::Result;
use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

/// How long a file of the cache stays that nobody uses.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

/// The compiled form of the wasm file `source`: from the cache folder, if the same bytes were compiled there by the same
/// version of wasmtime in the same configuration, else compiled now and put there.
pub fn compile(engine: &Engine, source: &Path, cache: &Path) -> Result<Component> {
    let wasm = fs::read(source)?;
    let digest: String = Sha256::digest(&wasm).iter().map(|byte| format!("{byte:02x}")).collect();
    let mut compatibility = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut compatibility);
    let cached = cache.join(format!("{digest}-{:016x}.cwasm", compatibility.finish()));
    if let Some(component) = load(engine, &cached) {
        return Ok(component);
    }
    let component = Component::new(engine, &wasm)?;
    // Another process may do the same: the file appears whole, or not at all.
    let part = cached.with_extension(format!("{}.part", std::process::id()));
    fs::write(&part, component.serialize()?)?;
    fs::rename(&part, &cached)?;
    prune(cache);
    Ok(component)
}

#[allow(unsafe_code, reason = "wasmtime trusts what it maps, and the file is one that this program wrote")]
fn load(engine: &Engine, cached: &Path) -> Option<Component> {
    // Marks it as used, for `prune`; fails if it is not there.
    File::options().append(true).open(cached).and_then(|file| file.set_modified(SystemTime::now())).ok()?;
    // SAFETY: only `compile` writes files of this name into the cache folder, and they are what `serialize` gave. The engine
    // itself refuses a file of another version or configuration.
    unsafe { Component::deserialize_file(engine, cached) }.ok()
}

/// Removes what has not been used for long. What fails here, fails again at the next time.
fn prune(cache: &Path) {
    for entry in fs::read_dir(cache).into_iter().flatten().flatten() {
        let modified = entry.metadata().and_then(|metadata| metadata.modified()).ok();
        if modified.and_then(|modified| modified.elapsed().ok()).is_some_and(|unused| unused > KEPT) {
            let _ = fs::remove_file(entry.path());
        }
    }
}
