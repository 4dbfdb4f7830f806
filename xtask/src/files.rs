//! Small file helpers: private files, JSON in and out.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Writes a file that only its owner may read (mode 0600), whole or not at all.
pub fn write_private(path: &Path, contents: &[u8]) -> Result<()> {
    make_parent(path)?;
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let staged = Path::new(&name);
    let _ = fs::remove_file(staged);
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(staged)?;
        file.write_all(contents)?;
        fs::rename(staged, path)
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

/// Copies a built file, whole or not at all: a running host may be reading the old one.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    make_parent(to)?;
    let staged = to.with_extension("new");
    fs::copy(from, &staged)
        .and_then(|_| fs::rename(&staged, to))
        .with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))
}

/// Writes readable JSON as a private file.
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let mut text = serde_json::to_vec_pretty(value)?;
    text.push(b'\n');
    write_private(path, &text)
}

/// Reads JSON; `None` if the file is not there.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    let value =
        serde_json::from_slice(&text).with_context(|| format!("{} is not what was written there: remove it", path.display()))?;
    Ok(Some(value))
}

/// Makes the folder that a file is to lie in.
pub fn make_parent(path: &Path) -> Result<()> {
    match path.parent() {
        Some(folder) => make_folder(folder),
        None => Ok(()),
    }
}

/// Makes a folder and those above it.
pub fn make_folder(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_private_file_is_readable_by_its_owner_only() {
        let folder = std::env::temp_dir().join(format!("xtask-files-{}", std::process::id()));
        let path = folder.join("a/secret.json");
        write_json(&path, &serde_json::json!({"a": 1})).unwrap();
        write_json(&path, &serde_json::json!({"a": 2})).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let back: serde_json::Value = read_json(&path).unwrap().unwrap();
        assert_eq!(back, serde_json::json!({"a": 2}));
        assert!(read_json::<serde_json::Value>(&folder.join("none")).unwrap().is_none());
        fs::remove_dir_all(folder).unwrap();
    }
}
