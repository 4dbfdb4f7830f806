//! One target folder for all clones. Cargo names a workspace's crates by their place in it, so that two clones have one name for
//! them, and it takes what one built for the other's where times happen to fit: with paths of a clone that may be gone, or without
//! what was changed here. So the clone that builds is written down, and where it was another, our own crates are built anew.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

/// How deep below the target folder a profile's folder can lie: `fuzz/<target>/<profile>`.
const DEPTH: u32 = 3;

/// Makes sure that what `target` holds of our crates was built from `root`.
pub fn claim(target: &Path, root: &Path) -> io::Result<()> {
    let (marker, root) = (target.join("clone"), root.as_os_str().as_encoded_bytes());
    match fs::read(&marker) {
        Ok(last) if last == root => return Ok(()),
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    forget(target, DEPTH)?;
    fs::create_dir_all(target)?;
    fs::write(marker, root)
}

/// Removes the fingerprints of our crates below a folder: without one, cargo builds a crate anew.
fn forget(folder: &Path, depth: u32) -> io::Result<()> {
    if let Ok(crates) = fs::read_dir(folder.join(".fingerprint")) {
        // Cargo's own lock of the folder: a build that goes on there comes first.
        let lock = fs::File::create(folder.join(".cargo-lock"))?;
        lock.lock()?;
        for entry in crates.flatten().filter(|entry| is_ours(&entry.file_name().to_string_lossy())) {
            fs::remove_dir_all(entry.path())?;
        }
        return Ok(());
    }
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| depth > 0 && entry.file_type().is_ok_and(|kind| kind.is_dir()));
    folders.map(|entry| entry.path()).try_for_each(|below| forget(&below, depth - 1))
}

fn is_ours(name: &str) -> bool {
    name.starts_with("tmcp-") || name.starts_with("xtask-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_clones_crates_are_forgotten_and_dependencies_kept() {
        let target = std::env::temp_dir().join(format!("xtask-shared-target-{}", std::process::id()));
        let made = |name: &str| target.join(name);
        let fill = || {
            for profile in ["debug", "wasm32-wasip2/release", "fuzz/x86_64/release"] {
                for name in ["tmcp-auth-0123", "xtask-4567", "serde-89ab"] {
                    fs::create_dir_all(made(&format!("{profile}/.fingerprint/{name}"))).unwrap();
                }
            }
        };
        let kept = |name: &str| {
            let profiles = ["debug", "wasm32-wasip2/release", "fuzz/x86_64/release"];
            profiles.iter().filter(|profile| made(&format!("{profile}/.fingerprint/{name}")).exists()).count()
        };
        let all = || [kept("tmcp-auth-0123"), kept("xtask-4567"), kept("serde-89ab")];
        fill();
        claim(&target, Path::new("/one")).unwrap();
        assert_eq!(all(), [0, 0, 3], "nobody knows who built it");
        fill();
        claim(&target, Path::new("/one")).unwrap();
        assert_eq!(all(), [3, 3, 3], "the same clone");
        claim(&target, Path::new("/other")).unwrap();
        assert_eq!(all(), [0, 0, 3], "another one");
        fs::remove_dir_all(target).unwrap();
    }
}
