//! Where things lie: the workspace, its `target/tmcp`, and the cache folder that all clones share.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Folders that every command needs.
#[derive(Debug, Clone)]
pub struct Paths {
    /// The workspace root: where `Cargo.toml`, `wrangler.toml` and `spin.toml` lie.
    pub root: PathBuf,
    /// `$XDG_CACHE_HOME/tmcp-edge`, else `~/.cache/tmcp-edge`.
    pub cache: PathBuf,
    /// Where child cargo processes put their output: `CARGO_TARGET_DIR`, else `target` in the cache.
    pub cargo_target: PathBuf,
}

impl Paths {
    /// Finds the workspace from the current folder upwards, and the cache from the environment.
    pub fn find() -> Result<Self> {
        let here = std::env::current_dir().context("no current folder")?;
        let built_from = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = here
            .ancestors()
            .chain(built_from.parent())
            .find(|folder| folder.join("xtask/npm/package.json").is_file())
            .context("not inside the workspace: run this from the project's folder")?
            .to_path_buf();
        let cache = std::env::var_os("XDG_CACHE_HOME")
            .filter(|folder| !folder.is_empty())
            .map(PathBuf::from)
            .or_else(|| std::env::home_dir().map(|home| home.join(".cache")))
            .context("no cache folder: set HOME or XDG_CACHE_HOME")?
            .join("tmcp-edge");
        let cargo_target = std::env::var_os("CARGO_TARGET_DIR")
            .filter(|folder| !folder.is_empty())
            .map_or_else(|| cache.join("target"), |folder| root.join(folder));
        Ok(Self { root, cache, cargo_target })
    }

    /// `target/tmcp`: what running leaves in this clone (data, logs, `up.json`).
    pub fn work(&self) -> PathBuf {
        self.root.join("target/tmcp")
    }

    /// Output of the builds and installs of this clone, one file per step.
    pub fn log(&self, step: &str) -> PathBuf {
        self.work().join("logs").join(format!("{step}.log"))
    }

    /// Programs that were installed for the project.
    pub fn tools(&self) -> PathBuf {
        self.cache.join("tools")
    }

    /// The built Spin component of a function: `spin.toml` names these files.
    pub fn spin_module(&self, function: &str) -> PathBuf {
        self.root.join("target/spin").join(format!("{function}.wasm"))
    }
}

/// The path as written from `base`, for messages; the whole path if it lies elsewhere.
pub fn shown(path: &Path, base: &Path) -> String {
    path.strip_prefix(base).unwrap_or(path).display().to_string()
}
